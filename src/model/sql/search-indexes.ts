/**
 * The indexes of a view's table by which callers search it, one for each declared field and none for any other: every one is written
 * with each row. The tenant comes first and the key last, so that an index has the rows that are equal in the field in the order of
 * their keys: a page begins anywhere in it. Read backwards it has the opposite order, key included, so one serves both directions.
 */
import { createHash } from 'node:crypto'
import type { Field, View } from '../model.ts'
import { columnName, ident, snakeCase } from '../names.ts'
import type { ViewTable } from '../view-table.ts'
import { lookupColumn } from './lookup.ts'

export type SearchIndex = {
  /** Unquoted. */
  readonly name: string
  /** What it is for: `list by id`, `@filter @order createdAt`. */
  readonly serves: string
  readonly columns: readonly string[]
  readonly ddl: string
}

type Wanted = {
  readonly label: string
  readonly columns: readonly string[]
  readonly serves: string
  /** Of a list's elements. */
  readonly list?: boolean
}

export const searchIndexes = (view: View, table: ViewTable): readonly SearchIndex[] => {
  const tenant = table.tenanted ? ['_tenant'] : []
  const key = table.key.map(({ column }) => column)
  const keyed = (...first: readonly string[]) => [...tenant, ...first, ...key.filter((name) => !first.includes(name))]
  // The primary key begins with the tenant's own column, if with any, or is a group's digest.
  const byKey =
    table.tenanted || table.grouped
      ? [{ label: 'key', columns: keyed(), serves: `list by ${table.key.map(({ name }) => name).join(', ')}` }]
      : []
  const wanted: readonly Wanted[] = [
    ...byKey,
    ...view.fields.flatMap((field): Wanted[] => {
      const label = columnName(field.name)
      const compared = lookupColumn(field)
      const searched = field.filter || field.order
      return [
        ...(searched
          ? [{ label, columns: field.list ? [label] : keyed(label), serves: servesOf(field), list: field.list }]
          : []),
        ...(field.lookup && !(searched && compared === label)
          ? [{ label, columns: [...tenant, compared], serves: `@lookup ${field.name}` }]
          : []),
      ]
    }),
  ]
  const made = new Map<string, SearchIndex>()
  for (const { label, columns, serves, list } of wanted) {
    const shape = columns.join()
    const known = made.get(shape)
    const name = indexName(view, table, label, shape)
    made.set(shape, {
      name,
      columns,
      serves: known ? `${known.serves}; ${serves}` : serves,
      ddl: `create index if not exists ${ident(name)} on ${table.table}${list ? ' using gin' : ''} (${columns.map(ident).join(', ')})`,
    })
  }
  return [...made.values()]
}

const servesOf = ({ filter, order, lookup, name }: Field): string =>
  [...(lookup ? ['@lookup'] : []), ...(filter ? ['@filter'] : []), ...(order ? ['@order'] : []), name].join(' ')

/** Postgres cuts names at 63 bytes. The columns are in it too: an index of other columns is another. */
const indexName = (view: View, table: ViewTable, label: string, columns: string): string => {
  const digest = createHash('sha256').update(columns).digest('hex').slice(0, 6)
  return `${snakeCase(view.name).slice(0, 19)}_${table.hash}_${label.slice(0, 19)}_${digest}_idx`
}
