/**
 * A changed key (C15). The source sends a delete under the old key and an upsert under the new one, under one id, often on two partitions.
 * What the upsert doesn't carry is what the row held under its old key: the delete keeps that image, the upsert waits for it, and
 * whichever commits second brings them together. Images may lack values themselves, where a key was changed twice; they are completed
 * in turn.
 */
import type { Entity } from '../../model/model.ts'
import { columnName } from '../../model/names.ts'
import type { CellValue, Change } from '../change.ts'
import type { Tx } from './fence.ts'
import { keyText } from './fold.ts'
import type { Row } from './input-rows.ts'

/** A row with what it has to do for the change of its key. */
export const keyChangeOf = (entity: Entity, change: Change): Row => {
  const { keyChange } = change
  if (!keyChange) return { change }
  const oldKey = keyChange.side === 'old' ? change.row : keyChange.key
  const id = `${change.version.epoch}/${keyChange.id}/${keyText(entity, { row: oldKey })}`
  if (keyChange.side === 'old') return { change, leaves: id }
  return change.absent.length > 0 ? { change, awaits: id } : { change }
}

/**
 * Says which rows wait for which image. Before they are written: the delete's writer looks for them here, and waits for this one's
 * commit. `execute` sends it at once; an awaited statement would go behind those that are sent meanwhile.
 */
export const announce = async (tx: Tx, entity: Entity, rows: readonly Row[]): Promise<readonly string[]> => {
  const waiting = rows.flatMap(({ change, awaits }) =>
    awaits === undefined ? [] : [{ id: awaits, new_key: keyJson(entity, change.row) }],
  )
  if (waiting.length === 0) return []
  await tx`
    insert into forebay.key_changes as k (entity, id, new_key)
    select distinct on (id) ${entity.name}, id, new_key from json_to_recordset(${JSON.stringify(waiting)}::text::json) as x(id text, new_key jsonb) order by id
    on conflict (entity, id) do update set new_key = excluded.new_key`.execute()
  return waiting.map(({ id }) => id)
}

/** By column names, as the entity statement reads them. */
const keyJson = (entity: Entity, row: Change['row']): Record<string, CellValue | undefined> =>
  Object.fromEntries(entity.key.map((name) => [columnName(name), row[name]]))

export type Filled = { readonly applied: number; readonly logged: number }

/**
 * Brings images to the rows and to the images that wait for them. `ids`: those of which either side was written just now. `fill`: the
 * fill statement.
 */
export const bringImages = async (
  tx: Tx,
  entity: Entity,
  ids: readonly string[],
  fill: (ids: readonly string[]) => Promise<Filled>,
): Promise<Filled> => {
  const total = { applied: 0, logged: 0 }
  for (let next = ids; next.length > 0; ) {
    const { applied, logged } = await fill(next)
    total.applied += applied
    total.logged += logged
    const completed = await tx<{ id: string }[]>`
      update forebay.key_changes d set awaits = null, missing = '{}',
        image = d.image || (select coalesce(jsonb_object_agg(m, k.image->m), '{}') from unnest(d.missing) m)
      from forebay.key_changes k
      where k.entity = ${entity.name} and k.id = any(${[...next]}::text[]) and k.missing = '{}'
        and d.entity = k.entity and d.awaits = k.id
      returning d.id`
    next = completed.map(({ id }) => id)
  }
  return total
}
