/** What a batch's changes are measured by beside the rows themselves. Read under the catalog's lock: see `lockCatalog`. */
import type { Change, OrderedVersion, ReplaceSet } from '../change.ts'
import { microsOf } from '../decode/instant.ts'
import type { Tx } from './fence.ts'
import { compareVersions } from './fold.ts'
import type { Item } from './stretch.ts'

export type SnapshotState = {
  readonly epoch: number
  readonly major: bigint
  readonly state: 'READING' | 'READ' | 'SWEPT'
}
/** Where an entity was truncated. `at`: when, by its source's clock. */
export type Floor = { readonly version: OrderedVersion; readonly at: string | null }
/** By entity: up to where it was truncated (C17), and its latest snapshot (C13). */
export type Bounds = {
  readonly floors: ReadonlyMap<string, Floor>
  readonly snapshots: ReadonlyMap<string, SnapshotState>
}

type Stored = { readonly entity: string; readonly epoch: number; readonly version: string }

export const readBounds = async (tx: Tx): Promise<Bounds> => {
  const [row] = await tx<
    {
      floors: readonly (Stored & { readonly tie: string; readonly at: string | null })[]
      snapshots: readonly (Stored & { readonly state: SnapshotState['state'] })[]
    }[]
  >`
    select
      (select coalesce(json_agg(json_build_object('entity', entity, 'epoch', epoch, 'version', version::text, 'tie', tie::text, 'at', forebay.iso(event_time))), '[]') from forebay.floors) as floors,
      (select coalesce(json_agg(json_build_object('entity', entity, 'epoch', epoch, 'version', version::text, 'state', state)), '[]') from forebay.snapshots) as snapshots`
  const floors = row!.floors.map(({ entity, epoch, version, tie, at }): [string, Floor] => [
    entity,
    { version: { kind: 'ordered', epoch, major: BigInt(version), minor: BigInt(tie) }, at },
  ])
  const snapshots = row!.snapshots.map(({ entity, epoch, version, state }): [string, SnapshotState] => [
    entity,
    { epoch, major: BigInt(version), state },
  ])
  return { floors: new Map(floors), snapshots: new Map(snapshots) }
}

/**
 * Whether a truncate came after it. An incremental read has no version, so its time tells. One that was read within the clocks' difference
 * after the truncate may be dropped too: what was there by then was written after it, and comes as a change of its own.
 */
export const isBelowFloor = (
  { entity, version, eventTime }: Change | ReplaceSet,
  floors: Bounds['floors'],
): boolean => {
  const floor = floors.get(entity)
  if (floor === undefined) return false
  if (version.kind === 'ordered') return compareVersions(version, floor.version) <= 0
  return eventTime !== null && floor.at !== null && microsOf(eventTime) <= microsOf(floor.at)
}

/** Without the changes that a truncate came after; they are counted as dropped. */
export const aboveFloors = (items: readonly Item[], floors: Bounds['floors']): readonly Item[] => {
  if (floors.size === 0) return items
  const isBelow = (what: Change | ReplaceSet): boolean => isBelowFloor(what, floors)
  return items.map((item) => {
    const below = [...item.changes, ...item.sets].filter(isBelow)
    if (below.length === 0) return item
    return {
      ...item,
      changes: item.changes.filter((change) => !isBelow(change)),
      sets: item.sets.filter((set) => !isBelow(set)),
      dropped: [...item.dropped, ...below.map(({ entity }) => ({ entity, reason: 'truncated' as const }))],
    }
  })
}
