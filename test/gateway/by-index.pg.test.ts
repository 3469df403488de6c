/**
 * Every condition and order that the reference shop's schema offers, over every view with 20,000 rows of two tenants: how Postgres plans
 * it on a connection of the gateway's own, and how many rows it reads.
 */
import { getNamedType, isInputObjectType } from 'graphql'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fullVerdict } from '../../src/gateway/access/verdict.ts'
import { type PageQuery, pageStatement } from '../../src/gateway/read/page-sql.ts'
import type { Reading, Statement } from '../../src/gateway/read/row-sql.ts'
import { readPool } from '../../src/gateway/read/statements.ts'
import { whereOf } from '../../src/gateway/schema/inputs.ts'
import { graphqlSchema, sharedTypes } from '../../src/gateway/schema/schema.ts'
import type { OrderBy } from '../../src/model/condition.ts'
import type { Model, View } from '../../src/model/model.ts'
import { columnName, ident } from '../../src/model/names.ts'
import { type CompiledView, compileView } from '../../src/model/sql/compile-view.ts'
import { searchIndexes } from '../../src/model/sql/search-indexes.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { readModel } from '../../src/operate/read-model.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'

const model = await readModel('schema')
const views = [...model.views.values()]
const ROWS = 20_000
const LIMIT = 20

let database: Database
let reads: Sql
beforeAll(async () => {
  database = await freshDatabase()
  await installModel(database.sql, model)
  for (const view of views) await fill(database.sql, model, compileView(model, view))
  reads = connect(database.url, { ...readPool, max: 1 })
})
afterAll(async () => {
  await reads.end({ timeout: 1 })
  await database.drop()
})

/** A value of the n-th row; some columns repeat a few values, others many, and one in seven has none where it may. */
const valueSql = (sqlType: string, name: string, unique: boolean, options: readonly string[]): string => {
  const mixed = '(n * 7919 % 4999)'
  if (options.length > 0) return `(array[${options.map((one) => `'${one}'`).join(', ')}])[1 + n % ${options.length}]`
  if (sqlType.endsWith('[]')) return `array['a' || n % 7, 'b' || n % 11]::${sqlType}`
  if (sqlType === 'text') return unique ? `'k' || lpad(n::text, 6, '0')` : `'${name.slice(0, 3)}' || ${mixed} % 500`
  if (sqlType === 'boolean') return 'n % 5 = 0'
  if (sqlType === 'jsonb') return "'[]'::jsonb"
  if (/^timestamp|^date/.test(sqlType))
    return `('2026-01-01'::timestamptz + ${unique ? 'n' : mixed} * interval '1 hour')::${sqlType}`
  return `${mixed}::${sqlType}`
}
const fill = async (sql: Sql, of: Model, { view, table, ddl, indexes }: CompiledView): Promise<void> => {
  for (const statement of [...ddl, ...indexes]) await sql.unsafe(statement)
  const columns = await sql<{ name: string; type: string; required: boolean }[]>`
    select attname as name, format_type(atttypid, null) as type, attnotnull as required from pg_attribute
    where attrelid = ${table.table}::regclass and attnum > 0 and attgenerated = ''`
  const keys = new Set([...table.key, ...table.rootKey].map(({ column }) => column))
  const values = columns.map(({ name, type, required }) => {
    const field = view.fields.find((one) => columnName(one.name) === name)
    const options =
      field?.type.kind === 'enum' && !field.list ? of.enums.get(field.type.enum)!.values.map((one) => one.name) : []
    if (name === '_tenant' || (keys.has(name) && /tenant/.test(name)))
      return `case when n % 10 = 0 then 'globex' else 'acme' end`
    if (name === '_version' || name === '_members') return 'n'
    if (name === '_group') return 'n::text'
    const value = valueSql(type, name, keys.has(name), options)
    return required || keys.has(name) || field?.nonNull ? value : `case when n % 7 = 0 then null else ${value} end`
  })
  await sql.unsafe(
    `insert into ${table.table} (${columns.map(({ name }) => ident(name)).join(', ')}) select ${values.join(', ')} from generate_series(1, ${ROWS}) n`,
  )
  await sql.unsafe(`vacuum analyze ${table.table}`)
}

const readingOf = ({ table }: CompiledView): Reading => ({
  table,
  fields: new Set(table.columns.map(({ field }) => field)),
  tenant: table.tenanted ? 'acme' : null,
  bounded: false,
  classes: () => ['true'],
  held: 'none',
})

type Node = {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Actual Rows'?: number
  readonly 'Actual Loops'?: number
  readonly 'Rows Removed by Filter'?: number
  readonly Plans?: readonly Node[]
}
const nodesOf = (node: Node): readonly Node[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)]
const explain = async ({ text, values }: Statement, analyze: boolean): Promise<readonly Node[]> => {
  const [row] = await reads.unsafe(
    `explain (format json${analyze ? ', analyze, timing off, buffers off' : ''}) ${text}`,
    [...values],
  )
  const [{ Plan: plan }] = row!['QUERY PLAN'] as [{ Plan: Node }]
  return nodesOf(plan)
}

const schema = graphqlSchema(
  model,
  new Map(views.map((view) => [view.name, compileView(model, view).table])),
  sharedTypes(model),
  fullVerdict(model),
)
type Input = Readonly<Record<string, unknown>>
const inputsOf = (name: string): Readonly<Record<string, { readonly type: unknown }>> => {
  const type = schema.getType(name)
  return isInputObjectType(type) ? type.getFields() : {}
}
/** Of each field that the schema lets be asked about, every operator, with a value that some rows have. */
const wheresOf = async (view: View, table: string): Promise<readonly Input[]> => {
  const wheres: Input[] = []
  for (const [name, { type }] of Object.entries(inputsOf(`${view.name}Where`))) {
    if (['and', 'or', 'not'].includes(name)) continue
    const [row] = await database.sql.unsafe(
      `select ${ident(columnName(name))}::text as value from ${table} where ${ident(columnName(name))} is not null order by _version offset 4321 limit 1`,
    )
    const { list } = view.fields.find((field) => field.name === name)!
    const text = String(row!.value)
    const value = text === 'true' || text === 'false' ? text === 'true' : list ? 'a3' : text
    const filter = getNamedType(type as never)
    if (!isInputObjectType(filter)) throw new Error(`${view.name}.${name} has no filter`)
    for (const op of Object.keys(filter.getFields()))
      wheres.push({ [name]: { [op]: op === 'isNull' ? true : op === 'in' || op === 'notIn' ? [value] : value } })
  }
  return [...wheres, ...wheres.slice(1).map((one, i) => ({ or: [one, wheres[i]!] }))]
}
const ordersOf = (view: View): readonly (readonly OrderBy[])[] => {
  const fields = Object.keys(inputsOf(`${view.name}OrderBy`))
  const one = (field: string, direction: 'ASC' | 'DESC'): OrderBy => ({ joins: [], field, direction })
  const single = fields.flatMap((field) => [[one(field, 'ASC')], [one(field, 'DESC')]])
  const several = fields.slice(1).map((field, i) => [one(fields[i]!, 'DESC'), one(field, 'ASC')])
  return [[], ...single, ...several]
}
/** From either end, and from a place in the middle. */
const windowsOf = async (compiled: CompiledView, orderBy: readonly OrderBy[]) => {
  const query = { view: compiled.view, where: undefined, orderBy, limit: 2_000, backward: false, from: undefined }
  const statement = pageStatement(readingOf(compiled), query)
  const rows = await reads.unsafe<{ place: string }[]>(statement.text, [...statement.values])
  const place = JSON.parse(rows.at(-1)!.place) as (string | null)[]
  return [undefined, place].flatMap((from) => [false, true].map((backward) => ({ from, backward })))
}
const used = new Set<string>()
const said = ({ view: _, ...query }: PageQuery) =>
  JSON.stringify({ ...query, orderBy: query.orderBy.map(({ field, direction }) => `${field} ${direction}`) })

test.each(views.map((view) => [view.name, view] as const))('%s is never read from end to end', async (_, view) => {
  const compiled = compileView(model, view)
  const wheres = [undefined, ...(await wheresOf(view, compiled.table.table))]
  const whole: string[] = []
  for (const orderBy of ordersOf(view))
    for (const { from, backward } of await windowsOf(compiled, orderBy))
      for (const input of wheres) {
        const query = { view, where: input && whereOf(view, input), orderBy, limit: LIMIT, from, backward }
        const nodes = await explain(pageStatement(readingOf(compiled), query), false)
        for (const node of nodes) if (node['Index Name']) used.add(node['Index Name'])
        const bare = compiled.table.table.split('.')[1]!.replaceAll('"', '')
        if (nodes.some((node) => node['Node Type'] === 'Seq Scan' && node['Relation Name'] === bare))
          whole.push(said(query))
      }
  expect(whole).toEqual([])
})

/** Both halves of an order with nulls between them may be begun. */
const MOST = 2 * (LIMIT + 1)

test.each(views.map((view) => [view.name, view] as const))(
  '%s in an order of one field reads the rows that it shows, from anywhere and in both directions',
  async (_, view) => {
    const compiled = compileView(model, view)
    const reading: unknown[] = []
    for (const orderBy of ordersOf(view).filter(({ length }) => length < 2))
      for (const { from, backward } of await windowsOf(compiled, orderBy)) {
        const query = { view, where: undefined, orderBy, limit: LIMIT, from, backward }
        const nodes = await explain(pageStatement(readingOf(compiled), query), true)
        const read = rowsRead(nodes)
        if (read > MOST) reading.push([read, said(query)])
      }
    expect(reading).toEqual([])
  },
)
const rowsRead = (nodes: readonly Node[]): number =>
  nodes
    .filter((node) => node['Index Name'] !== undefined || node['Node Type'] === 'Seq Scan')
    .map((node) => ((node['Actual Rows'] ?? 0) + (node['Rows Removed by Filter'] ?? 0)) * (node['Actual Loops'] ?? 1))
    .reduce((sum, rows) => sum + rows, 0)

test.each(views.map((view) => [view.name, view] as const))(
  '%s under one eq reads little more than it shows',
  async (_, view) => {
    const compiled = compileView(model, view)
    const reading: unknown[] = []
    for (const input of await wheresOf(view, compiled.table.table)) {
      const [name, op] = Object.entries(input)[0]!
      if (name === 'or' || !('eq' in (op as Input))) continue
      const where = whereOf(view, input)
      const query = { view, where, orderBy: [], limit: LIMIT, from: undefined, backward: false }
      const read = rowsRead(await explain(pageStatement(readingOf(compiled), query), true))
      // A value that many rows have may be met by the way, in the order of the key.
      if (read > 10 * MOST) reading.push([read, said(query)])
    }
    expect(reading).toEqual([])
  },
)

test('each index that a view has is used by one of them', () => {
  const made = views.flatMap((view) => searchIndexes(view, compileView(model, view).table))
  const unused = made.filter(({ name, serves }) => !used.has(name) && !serves.startsWith('@lookup'))
  expect(unused.map(({ name }) => name)).toEqual([])
})
