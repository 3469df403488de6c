/** Which full images their tables really hold: the version guard may have refused them, as older or as duplicates. */
import type { Entity } from '../../model/model.ts'
import { columnName, columnSqlType, entityTable, ident } from '../../model/names.ts'
import { columnOf } from '../../model/sql/row-scope.ts'
import type { CellValue, Change, ReplaceSet } from '../change.ts'
import type { Tx } from './fence.ts'
import type { Step } from './queues.ts'

/** Of one entity. A row is known by the position that wrote it last. */
export const storedOf = async (tx: Tx, entity: Entity, steps: readonly Step[]): Promise<ReadonlySet<Step>> => {
  const stored = new Set<Step>()
  const changes = steps.flatMap((step) => (step.act.kind === 'change' ? [{ step, change: step.act.change }] : []))
  const sets = steps.flatMap((step) => (step.act.kind === 'set' ? [{ step, set: step.act.set }] : []))
  for (const n of await rowsStored(
    tx,
    entity,
    changes.map(({ change }) => change),
  ))
    stored.add(changes[n]!.step)
  for (const n of await setsStored(
    tx,
    sets.map(({ set }) => set),
  ))
    stored.add(sets[n]!.step)
  return stored
}

const rowsStored = async (tx: Tx, entity: Entity, changes: readonly Change[]): Promise<readonly number[]> => {
  if (changes.length === 0) return []
  const key = entity.key.map((field) => ({ field, column: ident(columnName(field)) }))
  const typed = key.map(({ field, column }) => `${column} ${columnSqlType(columnOf(entity, field))}`)
  const asked = changes.map(({ row, position }, n) => ({
    n,
    ...Object.fromEntries(entity.key.map((field): [string, CellValue] => [columnName(field), row[field]!])),
    _partition: position.partition,
    _offset: String(position.offset),
  }))
  const rows = (await tx.unsafe(
    `select x.n from json_to_recordset($1::text::json) as x(n int, ${typed.join(', ')}, _partition int, _offset bigint)
     join ${entityTable(entity)} e on ${key.map(({ column }) => `e.${column} = x.${column}`).join(' and ')}
     where e._partition = x._partition and e._offset = x._offset`,
    [JSON.stringify(asked)],
  )) as unknown as { n: number }[]
  return rows.map(({ n }) => n)
}

/** One without a version replaces whatever was there. */
const setsStored = async (tx: Tx, sets: readonly ReplaceSet[]): Promise<readonly number[]> => {
  if (sets.length === 0) return []
  const asked = sets.map(({ entity, parent, version }, n) => ({
    n,
    entity,
    parent: JSON.stringify(Object.values(parent)),
    epoch: version.epoch,
    version: version.kind === 'ordered' ? String(version.major) : null,
    tie: version.kind === 'ordered' ? String(version.minor) : null,
  }))
  const rows = await tx<{ n: number }[]>`
    select x.n from json_to_recordset(${JSON.stringify(asked)}::text::json)
      as x(n int, entity text, parent text, epoch int, version bigint, tie bigint)
    left join forebay.documents d using (entity, parent)
    where x.version is null or (d.epoch, d.version, d.tie) = (x.epoch, x.version, x.tie)`
  return rows.map(({ n }) => n)
}
