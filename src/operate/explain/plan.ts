/** Postgres's own account of a statement: how it will be worked, and what working it once costs. */
import type { Sql, TransactionSql } from '../../platform/postgres.ts'

/** A node of EXPLAIN's JSON, as far as it is read here. */
type PlanNode = {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Index Cond'?: string
  readonly 'Shared Hit Blocks'?: number
  readonly 'Shared Read Blocks'?: number
  readonly Plans?: readonly PlanNode[]
}
type Explained = { readonly Plan: PlanNode; readonly 'Execution Time'?: number }

/** `whole`: tables that are read other than by an index's condition. */
export type Plan = {
  readonly text: readonly string[]
  readonly indexes: readonly string[]
  readonly whole: readonly string[]
}
/** Of one run. `pages` of 8 KiB, from memory or not. */
export type Cost = { readonly ms: number; readonly pages: number }

/** As it is planned for any parameters, and so at work too. */
export const planOf = async (sql: Sql, statement: string): Promise<Plan> => {
  const [{ Plan: root }] = await explained(sql, `explain (generic_plan, format json) ${statement}`)
  const lines = await sql.unsafe<{ 'QUERY PLAN': string }[]>(`explain (generic_plan, costs off) ${statement}`).simple()
  const nodes = all(root)
  return {
    text: lines.map((line) => line['QUERY PLAN']),
    indexes: distinct(nodes.map((node) => node['Index Name'])),
    whole: distinct(nodes.filter(readsAll).map((node) => node['Relation Name'] ?? node['Node Type'])),
  }
}

const explained = async (sql: Sql, text: string): Promise<[Explained]> => {
  const [row] = await sql.unsafe<{ 'QUERY PLAN': [Explained] | string }[]>(text).simple()
  return parse(row!['QUERY PLAN'])
}
const parse = (plan: [Explained] | string): [Explained] =>
  typeof plan === 'string' ? (JSON.parse(plan) as [Explained]) : plan

const all = (node: PlanNode): readonly PlanNode[] => [node, ...(node.Plans ?? []).flatMap(all)]
const readsAll = (node: PlanNode): boolean =>
  node['Node Type'] === 'Seq Scan' ||
  (/^(Index|Bitmap Index)/.test(node['Node Type']) && node['Index Cond'] === undefined)
const distinct = (names: readonly (string | undefined)[]): readonly string[] =>
  [...new Set(names.filter((name) => name !== undefined))].sort()

const undo = Symbol('undo')

/** Runs the statement for one key and takes back what it did. */
export const costOf = async (sql: Sql, statement: string, key: string): Promise<Cost> => {
  let cost: Cost | undefined
  await sql
    .begin(async (tx) => {
      await tx`set local lock_timeout = '2s'`
      cost = await measured(tx, statement, key)
      throw undo
    })
    .catch((error: unknown) => {
      if (error !== undo) throw error
    })
  return cost!
}

const measured = async (tx: TransactionSql, statement: string, key: string): Promise<Cost> => {
  const [row] = await tx.unsafe<{ 'QUERY PLAN': [Explained] | string }[]>(
    `explain (analyze, buffers, format json) ${statement}`,
    [`[${key}]`],
  )
  const [{ Plan: root, ...rest }] = parse(row!['QUERY PLAN'])
  return {
    ms: rest['Execution Time'] ?? 0,
    pages: (root['Shared Hit Blocks'] ?? 0) + (root['Shared Read Blocks'] ?? 0),
  }
}
