/** What a batch's changes are measured by beside the rows themselves. Read under the catalog's lock: see `lockCatalog`. */
import type { Change, OrderedVersion, ReplaceSet } from '../change.ts'
import type { Tx } from './fence.ts'
import { compareVersions } from './fold.ts'
import type { Item } from './stretch.ts'

export type SnapshotState = {
  readonly epoch: number
  readonly major: bigint
  readonly state: 'READING' | 'READ' | 'SWEPT'
}
/** By entity: up to where it was truncated (C17), and its latest snapshot (C13). */
export type Bounds = {
  readonly floors: ReadonlyMap<string, OrderedVersion>
  readonly snapshots: ReadonlyMap<string, SnapshotState>
}

type Stored = { readonly entity: string; readonly epoch: number; readonly version: string }

export const readBounds = async (tx: Tx): Promise<Bounds> => {
  const [row] = await tx<
    {
      floors: readonly (Stored & { readonly tie: string })[]
      snapshots: readonly (Stored & { readonly state: SnapshotState['state'] })[]
    }[]
  >`
    select
      (select coalesce(json_agg(json_build_object('entity', entity, 'epoch', epoch, 'version', version::text, 'tie', tie::text)), '[]') from forebay.floors) as floors,
      (select coalesce(json_agg(json_build_object('entity', entity, 'epoch', epoch, 'version', version::text, 'state', state)), '[]') from forebay.snapshots) as snapshots`
  const floors = row!.floors.map(({ entity, epoch, version, tie }): [string, OrderedVersion] => [
    entity,
    { kind: 'ordered', epoch, major: BigInt(version), minor: BigInt(tie) },
  ])
  const snapshots = row!.snapshots.map(({ entity, epoch, version, state }): [string, SnapshotState] => [
    entity,
    { epoch, major: BigInt(version), state },
  ])
  return { floors: new Map(floors), snapshots: new Map(snapshots) }
}

/** Whether a truncate came after it. An incremental read has no version: what became of its row the stream's own changes say. */
export const isBelowFloor = ({ entity, version }: Change | ReplaceSet, floors: Bounds['floors']): boolean => {
  const floor = floors.get(entity)
  return floor !== undefined && version.kind === 'ordered' && compareVersions(version, floor) <= 0
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
