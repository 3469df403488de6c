/** fetch: the statements that read a view's rows. Visible text; only keys, lookups and index-backed fields reach a condition. */

import type { Field, ValueType } from '../../model/model.ts'
import { ident, valueSqlType } from '../../model/names.ts'
import { keyArray } from '../../model/sql/key.ts'
import { lookupColumn, normaliserOf } from '../../model/sql/lookup.ts'
import { isOfKey, storedColumns } from '../../model/sql/stored-row.ts'
import { rollingAnswer, type ViewTable } from '../../model/view-table.ts'
import { arrayText } from '../../platform/array-types.ts'
import { type Binder, binder } from '../access/predicate.ts'
import type { Held } from '../freshness/freshness.ts'

export type Statement = { readonly text: string; readonly values: readonly (string | null)[] }
/** What Postgres returns: `fields` and `key` are JSON texts, `classes` has bit i where class i may see the row. */
export type StoredRow = {
  readonly fields: string
  readonly key: string
  readonly version: string
  readonly incomplete: boolean
  readonly classes: number
  /** Of a view grouped by time: up to when changes of its bucket are awaited, in milliseconds since 1970; null: without end. */
  readonly finalAt?: number | null
  /** Only where it was asked for. */
  readonly degraded?: boolean
  /** Fields that could not be worked out for this row. */
  readonly faults?: ReadonlyMap<string, Error>
}

/** Whether the row depends on a record in quarantine, or could not be recomputed, in the row's own snapshot. */
const degradedSql = (table: ViewTable, generation: number): string => {
  const root = table.rootKey.map(({ column, type }) => ({ sql: `r.${ident(column)}`, type }))
  const key = table.grouped ? 'jsonb_build_array(r._group)' : keyArray(root)
  const named = (condition: string) =>
    `exists (select from forebay.degraded d where d.generation = ${generation} and d.key ${condition})`
  return `(${named('is null')} or ${named(`= (${key})::text`)})`
}

/** The columns of StoredRow over the row `r`, as a reading asks for them. */
export const rowColumns = ({ table, fields, held, now }: Reading, classes: readonly string[]): string => {
  // One moment for all that is read: the statement's own, by the database's clock.
  const rolling = table.rolling.map((one) => ({ ...one, answer: rollingAnswer(one, now ?? 'statement_timestamp()') }))
  const shown = [...table.columns, ...rolling].filter(({ field }) => fields.has(field))
  const bits = classes.map((condition, i) => `case when ${condition} then ${1 << i} else 0 end`)
  return [
    ...storedColumns(table, shown),
    `${classes.length > 1 ? bits.join(' + ') : '1'} as classes`,
    ...(typeof held === 'object' ? [`${degradedSql(table, held.generation)} as degraded`] : []),
  ].join(', ')
}

/** A row that at least one class may see, of the reader's tenant. */
export const visible = (
  table: ViewTable,
  tenant: string | null,
  classes: readonly string[],
  binder: Binder,
): string[] => [
  ...(table.tenanted ? [`r._tenant = ${binder.bind(tenant, 'text')}`] : []),
  ...(classes.includes('true') ? [] : [`(${classes.map((condition) => `(${condition})`).join(' or ')})`]),
]

export type Reading = {
  readonly table: ViewTable
  readonly fields: ReadonlySet<string>
  readonly tenant: string | null
  /** Every class is bound by row rules; otherwise all rows of the tenant are seen. */
  readonly bounded: boolean
  /** Conditions by row class, made with a binder. What is bound must be used: Postgres refuses parameters that no one mentions. */
  readonly classes: (binder: Binder) => readonly string[]
  readonly held: Held
  /** The moment at which rolling fields are summed, as SQL, where it isn't the statement's own. */
  readonly now?: string
}

/** Rows of many keys, with `position` (from 1) of the key each belongs to. */
export const byKeysStatement = (reading: Reading, keys: readonly (readonly (string | null)[])[]): Statement => {
  const { table, tenant } = reading
  const params = binder()
  const arrays = table.key.map((_, i) => params.bind(arrayText(keys.map((key) => key[i] ?? null)), 'text[]'))
  const on = isOfKey(table, () => params.bind(tenant, 'text'))
  const classes = reading.classes(params)
  const where = visible(table, tenant, classes, params)
  const text = `select k._n::int as position, ${rowColumns(reading, classes)}
from unnest(${arrays.join(', ')}) with ordinality k(${table.key.map((_, i) => `_k${i}, `).join('')}_n)
join ${table.table} r on ${[on, ...where].join(' and ')}`
  return { text, values: params.values }
}

/** Of each value at most two rows whose @lookup field has it, with `position` (from 1) of the value: a second one is an error. */
export const lookupStatement = (reading: Reading, field: Field, values: readonly string[]): Statement => {
  const { table, tenant } = reading
  const params = binder()
  const array = params.bind(arrayText(values), 'text[]')
  const given = `k._v::${valueSqlType(field.type as ValueType)}`
  const classes = reading.classes(params)
  const compare = `r.${ident(lookupColumn(field))} = ${normaliserOf(field)?.(given) ?? given}`
  const text = `select k._n::int as position, ${rowColumns(reading, classes)}
from unnest(${array}) with ordinality k(_v, _n)
cross join lateral (select r.* from ${table.table} r where ${[compare, ...visible(table, tenant, classes, params)].join(' and ')} limit 2) r`
  return { text, values: params.values }
}
