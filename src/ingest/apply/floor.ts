/**
 * Truncates (C17). The floor is stored under the catalog's exclusive lock, so every transaction that commits later knows it: changes at
 * or below it are dropped, on whatever partition they come. Rows below it are taken away afterwards, in chunks (src/ingest/sweep.ts).
 */
import type { OrderedVersion, Truncate } from '../change.ts'
import { currentSlot } from '../dirty-log.ts'
import { type Catalog, readersOf } from '../generations.ts'
import type { Bounds } from './bounds.ts'
import type { Origins, Tx } from './fence.ts'
import { compareVersions } from './fold.ts'

/** Nobody's: no maintainer takes its entries, so they hold a view's asOf back until they are deleted. */
const heldShard = -1

/** The floors as they stand with these truncates; stores those that are new, and keeps asOf from passing them until they are swept. */
export const raiseFloors = async (
  tx: Tx,
  catalog: Catalog,
  truncates: readonly Truncate[],
  known: Bounds['floors'],
  { origin, offsets }: Origins,
): Promise<Bounds['floors']> => {
  const floors = new Map(known)
  const raised = new Map<string, Truncate>()
  for (const one of truncates) {
    const floor = floors.get(one.entity)
    if (floor && compareVersions(one.version, floor.version) <= 0) continue
    floors.set(one.entity, { version: one.version, at: one.eventTime })
    raised.set(one.entity, one)
  }
  if (raised.size === 0) return floors
  const rows = [...raised.values()].map(({ entity, version, eventTime }) => ({
    entity,
    epoch: version.epoch,
    version: String(version.major),
    tie: String(version.minor),
    event_time: eventTime,
  }))
  await tx`
    insert into forebay.floors (entity, epoch, version, tie, event_time)
    select * from json_to_recordset(${JSON.stringify(rows)}::text::json) as x(entity text, epoch int, version bigint, tie bigint, event_time timestamptz)
    on conflict (entity) do update set epoch = excluded.epoch, version = excluded.version, tie = excluded.tie,
      event_time = excluded.event_time, swept = false`
  const holds = [...raised.keys()].flatMap((entity) =>
    readersOf(catalog, entity).map((generation) => ({ entity, generation })),
  )
  await tx`
    insert into forebay.dirty (slot, generation, path, shard, keys, n, origin, offsets)
    select ${currentSlot()}::smallint, generation, 0, ${heldShard}::int, jsonb_build_array(entity), 0, ${origin}::timestamptz, ${offsets}::text::jsonb
    from json_to_recordset(${JSON.stringify(holds)}::text::json) as x(entity text, generation int)`
  return floors
}

/** The bound that `raiseFloors` holds back. */
export const heldOrigins = async (tx: Tx, entity: string): Promise<Origins> => {
  const [row] = await tx<Origins[]>`
    select origin, coalesce(offsets::text, '{}') as offsets from forebay.dirty
    where shard = ${heldShard}::int and keys = jsonb_build_array(${entity}::text) order by origin nulls first limit 1`
  return row ?? { origin: null, offsets: '{}' }
}

/** The entity's rows at or below this floor are gone: what `raiseFloors` held back may go on, if no truncate came since. */
export const releaseFloor = async (tx: Tx, entity: string, { epoch, major, minor }: OrderedVersion): Promise<void> => {
  await tx`
    with swept as (
      update forebay.floors set swept = true
      where entity = ${entity} and (epoch, version, tie) = (${epoch}, ${String(major)}::bigint, ${String(minor)}::bigint) returning entity)
    delete from forebay.dirty d using swept where d.shard = ${heldShard}::int and d.keys = jsonb_build_array(swept.entity)`
}
