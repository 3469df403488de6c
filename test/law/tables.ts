/** What the view tables hold, in answer form, beside what the oracle says. */
import { expect } from 'vitest'
import type { Model, View } from '../../src/model/model.ts'
import { type CompiledView, compileView } from '../../src/model/sql/compile-view.ts'
import type { Sql } from '../../src/platform/postgres.ts'
import { viewRows } from './oracle.ts'
import type { SourceRows } from './seen.ts'

export type Stored = {
  readonly tenant: string | null
  readonly values: unknown
  readonly incomplete: boolean
  readonly members?: number
}

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, item) =>
    item !== null && typeof item === 'object' && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  )
const byIdentity = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

/** `from`: the view's table, or its definition in parentheses. */
const readRows = async (sql: Sql, { table }: CompiledView, from: string): Promise<readonly Stored[]> => {
  const values = table.columns.map(({ field, answer }) => `'${field}', ${answer}`).join(', ')
  const members = table.grouped ? `'members', _members, ` : ''
  const rows = await sql.unsafe<{ row: string }[]>(
    `select jsonb_build_object(${members}'tenant', _tenant, 'incomplete', _incomplete, 'values', jsonb_build_object(${values}))::text as row from ${from} v`,
  )
  return rows.map(({ row }) => JSON.parse(row) as Stored)
}

/** Every view's table, versions included, as text. */
export const viewContents = async (sql: Sql, model: Model): Promise<Record<string, readonly string[]>> => {
  const contents: Record<string, readonly string[]> = {}
  for (const view of model.views.values()) {
    const { table } = compileView(model, view).table
    const rows = await sql.unsafe<{ row: string }[]>(`select v::text as row from ${table} v order by 1`)
    contents[view.name] = rows.map(({ row }) => row)
  }
  return contents
}

const sorted = (rows: readonly Stored[]): readonly Stored[] =>
  rows
    .map((row) => ({ row, id: canonical(row) }))
    .sort(byIdentity)
    .map(({ row }) => row)

/** Law 1: the table equals its defining query, and the oracle. Fails with the view's name and the rows that differ. */
export const expectViewsEqualQuery = async (sql: Sql, model: Model, source: SourceRows): Promise<void> => {
  for (const view of model.views.values()) {
    const compiled = compileView(model, view)
    const stored = await readRows(sql, compiled, compiled.table.table)
    const defined = await readRows(sql, compiled, `(${compiled.definition})`)
    expect(sorted(stored), `${view.name}: the table is not what its own query gives`).toEqual(sorted(defined))
    expectOracle(view, defined, model, source)
  }
}

const expectOracle = (view: View, rows: readonly Stored[], model: Model, source: SourceRows): void => {
  const wanted = viewRows(model, view, source)
    .map((row) => ({ row, id: canonical([row.tenant, row.values]) }))
    .sort(byIdentity)
  const found = rows.map((row) => ({ row, id: canonical([row.tenant, row.values]) })).sort(byIdentity)
  const plain = ({ row }: (typeof wanted)[number] | (typeof found)[number]) => ({
    tenant: row.tenant,
    values: row.values,
    members: row.members,
  })
  expect(found.map(plain), `${view.name}: not what the oracle says`).toEqual(wanted.map(plain))
  wanted.forEach(({ row, id }, i) => {
    if (row.incomplete !== 'either')
      expect(found[i]!.row.incomplete, `${view.name}: _incomplete of ${id}`).toBe(row.incomplete === 'yes')
  })
}
