/** An entity's rows as they are stored, beside those that a source has. */
import type { Entity } from '../../model/model.ts'
import { columnName, entityTable, ident, quote } from '../../model/names.ts'
import { sourcedColumns } from '../../model/sourced.ts'
import { keyArray, keyValue } from '../../model/sql/key.ts'
import { columnOf } from '../../model/sql/row-scope.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Tx } from '../apply/fence.ts'
import { inputParameters, inputSql } from '../apply/input-rows.ts'
import type { Change } from '../change.ts'

/** `stamp`: another one after every write; `none`: there was never a row. `partition`, `offset`: of its last record. */
export type Stored = {
  readonly k: string
  readonly stamp: string
  readonly live: boolean
  readonly partition: number | null
  readonly offset: string | null
}
/** `texts`: the key's values, none of which has lost a digit. */
export type StoredOf = Stored & { readonly texts: readonly string[] }
type Queries = Pick<Sql | Tx, 'unsafe'>

const stampSql = `coalesce((e._epoch, e._version, e._tie, e._partition, e._offset, e._deleted)::text, 'none')`
const keyOf = (entity: Entity, alias: string): string =>
  keyArray(
    entity.key.map((name) => ({ sql: `${alias}.${ident(columnName(name))}`, type: columnOf(entity, name).type })),
  )

/** Of every key that is asked for. */
export const storedRows = (
  sql: Queries,
  entity: Entity,
  keys: readonly string[],
  lock = false,
): Promise<StoredOf[]> => {
  const match = entity.key.map(
    (name, i) => `e.${ident(columnName(name))} = ${keyValue('v.value', i, columnOf(entity, name))}`,
  )
  return sql.unsafe<StoredOf[]>(
    `select v.value::text as k, array(select jsonb_array_elements_text(v.value)) as texts, ${stampSql} as stamp, coalesce(not e._deleted, false) as live, e._partition as partition, e._offset::text as "offset"
    from jsonb_array_elements($1::text::jsonb) v left join lateral (
      select e.* from ${entityTable(entity)} e where ${match.join(' and ')} ${lock ? 'for update' : 'offset 0'}) e on true`,
    [`[${keys.join(',')}]`],
    { prepare: true },
  )
}

/** Of the rows that a source has, in their order: the key, what is stored, and whether that is the same. */
export const comparedRows = async (
  sql: Queries,
  entity: Entity,
  changes: readonly Change[],
): Promise<(Stored & { readonly n: number; readonly same: boolean })[]> => {
  if (changes.length === 0) return []
  const rows = changes.map((change, n) => ({
    change: { ...change, position: { ...change.position, offset: BigInt(n) } },
  }))
  const names = sourcedColumns(entity).map(({ name }) => columnName(name))
  const same = names.map(
    (name) =>
      `(${quote(name)} = any(coalesce(i._absent, '{}')) or e.${ident(name)} is not distinct from i.${ident(name)})`,
  )
  const match = entity.key.map(columnName).map((name) => `e.${ident(name)} = i.${ident(name)}`)
  return sql.unsafe<(Stored & { n: number; same: boolean })[]>(
    `with input as materialized (${inputSql(entity, 1, false)})
    select i._offset::int as n, ${keyOf(entity, 'i')}::text as k, ${stampSql} as stamp, coalesce(not e._deleted, false) as live,
      e._partition as partition, e._offset::text as "offset", coalesce(not e._deleted and ${same.join(' and ')}, false) as same
    from input i left join lateral (select e.* from ${entityTable(entity)} e where ${match.join(' and ')} offset 0) e on true`,
    inputParameters(entity, rows, false) as string[],
    { prepare: true },
  )
}

/** The next live keys behind one. */
export const liveKeys = async (
  sql: Queries,
  entity: Entity,
  after: string | null,
  size: number,
): Promise<readonly string[]> => {
  const own = entity.key.map((name) => `e.${ident(columnName(name))}`).join(', ')
  const behind = entity.key.map((name, i) => keyValue('$2::text::jsonb', i, columnOf(entity, name))).join(', ')
  const where = after === null ? '$2::text is null' : `(${own}) > (${behind})`
  const rows = await sql.unsafe<{ k: string }[]>(
    `select ${keyOf(entity, 'e')}::text as k from ${entityTable(entity)} e where ${where} and not e._deleted order by ${own} limit $1::int`,
    [size, after],
    { prepare: true },
  )
  return rows.map(({ k }) => k)
}
