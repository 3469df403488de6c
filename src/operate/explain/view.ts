/** What keeps a view: its nodes and their statements with their plans, what a change of which entity leads to, and what waits. */
import type { Model } from '../../model/model.ts'
import { type CompiledView, compileView } from '../../model/sql/compile-view.ts'
import { columnOf, entityOf } from '../../model/sql/row-scope.ts'
import { searchIndexes } from '../../model/sql/search-indexes.ts'
import type { Sql } from '../../platform/postgres.ts'
import { readsBeyond } from './beyond.ts'
import { type Cost, costOf, type Plan, planOf } from './plan.ts'

export type Statement = {
  readonly does: string
  readonly sql: string
  readonly plan?: Plan
  readonly costs?: readonly Cost[]
}
export type NodeReport = {
  readonly node: number
  readonly keeps: string
  readonly tables: readonly string[]
  readonly statements: readonly Statement[]
}
export type PathReport = {
  readonly path: number
  readonly from: string
  /** Changes of which fields count. */
  readonly watched: readonly string[]
  readonly leadsTo: string
  /** Fields of the view that it can alter. */
  readonly touches: readonly string[] | 'ROW'
  readonly pending: number
}
export type SearchReport = {
  readonly index: string
  readonly serves: string
  readonly columns: string
  /** unneeded: no field that it was made for is searchable any more, and every write still pays for it. */
  readonly state: 'ready' | 'missing' | 'unneeded'
}
export type ViewReport = {
  readonly view: string
  readonly of: string
  readonly hash: string
  readonly table: string
  /** Absent: no ingest process has registered this definition yet. */
  readonly generation?: {
    readonly generation: number
    readonly state: string
    readonly rows: number
    readonly pendingKeys: number
    readonly oldestPending: string | null
    readonly parkedKeys: number
    /** Rows before it are gone; null where they are kept for good. */
    readonly floor: string | null
  }
  /** Rows go so long after a field of theirs. */
  readonly retention?: { readonly ttlMs: number; readonly on: string }
  readonly nodes: readonly NodeReport[]
  readonly paths: readonly PathReport[]
  /** By which indexes callers search it; `state`: whether each is there. */
  readonly searches: readonly SearchReport[]
  /** Which fields read more than they show, and why. */
  readonly beyond: readonly string[]
}

/** `samples`: so many keys of each node are worked, each in a transaction that is taken back. */
export const explainView = async (sql: Sql, model: Model, name: string, samples: number): Promise<ViewReport> => {
  const compiled = compileView(model, model.views.get(name)!)
  const generation = await generationOf(sql, compiled)
  const pending = generation === undefined ? new Map<number, number>() : await pendingOf(sql, generation.generation)
  const { retention } = compiled.view
  const nodes: NodeReport[] = []
  for (const node of compiled.nodes.keys())
    nodes.push(await reportNode(sql, compiled, node, generation === undefined ? undefined : samples))
  return {
    view: name,
    of: compiled.view.of,
    hash: compiled.table.hash,
    table: compiled.table.table,
    ...(generation === undefined ? {} : { generation }),
    ...(retention === undefined ? {} : { retention: { ttlMs: retention.ttlMs, on: retention.on } }),
    nodes,
    paths: compiled.paths.map((path, number) => ({
      path: number,
      from: path.own
        ? `its floor, as it moves past ${retention!.on}`
        : path.fedBy === undefined
          ? `a change of ${path.entity}, by ${path.values.join(', ')}`
          : `what node ${path.fedBy} changed`,
      watched: path.watched.map((field) => describeField(model, path.entity, field)),
      leadsTo: `keys of ${nameOfNode(compiled, path.node)}${path.own ? ', by what is stored of them' : path.expand === undefined ? '' : ', up the joins'}`,
      touches: touched(compiled, number),
      pending: pending.get(number) ?? 0,
    })),
    searches: await searchesOf(sql, compiled),
    beyond: readsBeyond(model, compiled.view),
  }
}

const searchesOf = async (sql: Sql, { view, table }: CompiledView): Promise<readonly SearchReport[]> => {
  const rows = await sql<{ name: string }[]>`
    select c.relname as name from pg_index i join pg_class c on c.oid = i.indexrelid
    where i.indrelid = to_regclass(${table.table}) and i.indisvalid and not i.indisprimary`
  const there = new Set(rows.map(({ name }) => name))
  const wanted = searchIndexes(view, table)
  const unneeded = [...there].filter((name) => name.endsWith('_idx') && !wanted.some((one) => one.name === name))
  return [
    ...wanted.map(({ name, serves, columns }): SearchReport => {
      const state = there.has(name) ? 'ready' : 'missing'
      return { index: name, serves, columns: columns.join(', '), state }
    }),
    ...unneeded.map((index): SearchReport => ({ index, serves: 'nothing', columns: '', state: 'unneeded' })),
  ]
}

const describeField = (model: Model, entity: string, field: string): string => {
  const { computed } = columnOf(entityOf(model, entity), field)
  return computed === undefined ? field : `${field} = ${computed.written}`
}

const touched = ({ touched: known }: CompiledView, path: number): PathReport['touches'] => {
  const fields = known[path]
  return fields === undefined || fields === 'ROW' ? 'ROW' : [...fields]
}

const nameOfNode = ({ view }: CompiledView, node: number): string => (node === 0 ? view.name : `node ${node}`)

const generationOf = async (sql: Sql, { table }: CompiledView): Promise<ViewReport['generation']> => {
  const [row] = await sql<NonNullable<ViewReport['generation']>[]>`
    select g.generation, g.state, greatest(coalesce((select c.reltuples from pg_class c where c.oid = to_regclass(${table.table})), 0), 0)::float8 as rows,
      (select coalesce(sum(d.n), 0)::float8 from forebay.dirty d where d.generation = g.generation) as "pendingKeys",
      (select forebay.iso(min(d.origin)) from forebay.dirty d where d.generation = g.generation) as "oldestPending",
      (select count(*)::int from forebay.parked_keys k where k.generation = g.generation) as "parkedKeys",
      (select forebay.iso(f.floor) from forebay.view_floors f where f."table" = ${table.table}) as floor
    from forebay.generations g
    where g.view = ${table.view} and g.hash = ${table.hash} and g.retired_at is null and to_regclass(${table.table}) is not null`
  return row
}

/** By path; keys that a path has led to stand under its negative number. */
const pendingOf = async (sql: Sql, generation: number): Promise<ReadonlyMap<number, number>> => {
  const rows = await sql<{ path: number; n: number }[]>`
    select case when path < 0 then -path - 1 else path end as path, sum(n)::float8 as n from forebay.dirty where generation = ${generation} group by 1`
  return new Map(rows.map(({ path, n }) => [path, n]))
}

const reportNode = async (
  sql: Sql,
  compiled: CompiledView,
  node: number,
  samples: number | undefined,
): Promise<NodeReport> => {
  const { keys } = compiled.nodes[node]!
  const { keeps, tables, own } = keptIn(compiled, node)
  const expands = compiled.paths.flatMap((path, number) =>
    path.node === node && path.expand !== undefined ? [{ does: `follow path ${number}`, sql: path.expand }] : [],
  )
  const statements: Statement[] = []
  const sampled =
    samples === undefined || samples === 0
      ? []
      : await sql.unsafe<{ k: string }[]>(`select k::text as k from (${keys} limit ${samples}) s`)
  for (const statement of [...own, ...expands]) {
    const plan = samples === undefined ? undefined : await planOf(sql, statement.sql)
    const costs: Cost[] = []
    if (['recompute', 'contribute'].includes(statement.does))
      for (const { k } of sampled) costs.push(await costOf(sql, statement.sql, k))
    statements.push({ ...statement, ...(plan === undefined ? {} : { plan }), ...(costs.length === 0 ? {} : { costs }) })
  }
  return { node, keeps, tables, statements }
}

type KeptIn = Pick<NodeReport, 'keeps' | 'tables'> & { readonly own: readonly Statement[] }
const keptIn = ({ nodes, paths, view, table, recompute, narrow }: CompiledView, node: number): KeptIn => {
  const { rollup, part, own } = nodes[node]!
  const { entity } = paths[own]!
  if (rollup)
    return {
      keeps: `what each ${entity} adds, and totals of that by group`,
      tables: rollup.tables,
      own: [
        { does: 'contribute', sql: rollup.contribute },
        { does: 'purge', sql: rollup.purge },
      ],
    }
  if (part)
    return {
      keeps: `each ${entity} in the shape in which it is listed`,
      tables: [part.table],
      own: [{ does: 'recompute', sql: part.recompute }],
    }
  return {
    keeps: `rows of ${view.name}`,
    tables: [table.table],
    own: [
      { does: 'recompute', sql: recompute },
      ...narrow.map(({ fields, statement }) => ({ does: `recompute ${fields.join(', ')}`, sql: statement })),
    ],
  }
}
