/**
 * A view's declaration as the SQL that keeps it.
 *
 *   a change of an entity row ─► raw join values (`paths`) ─► view keys (`expand`) ─► rows (`recompute`)
 *
 * What can be added up is kept beside the view, in rollups that changes reach first (`nodes`).
 */
import { createHash } from 'node:crypto'
import type { Model, View } from '../model.ts'
import { columnName, ident, snakeCase } from '../names.ts'
import type { Touched } from '../reads.ts'
import type { ViewTable } from '../view-table.ts'
import { finalAtSql } from './bucket.ts'
import { type DirtyPath, dirtyPaths } from './dirty-path.ts'
import { groupedSql } from './grouped.ts'
import type { PartSql } from './kept-part.ts'
import { liveSql } from './live.ts'
import type { Narrow } from './narrow.ts'
import type { Nodes } from './nodes.ts'
import { mapProof, type Proof, type ProofSql } from './proof.ts'
import type { RollupSql } from './rollup.ts'
import { type Dependencies, entityOf, isTenanted } from './row-scope.ts'
import { rowsSql } from './rows.ts'
import { searchIndexes } from './search-indexes.ts'
import { touchedFields } from './touches.ts'
import { rootKeyColumns, viewKeys } from './view-columns.ts'
import { floorDdl, floorIndexes, floorPath } from './view-floor.ts'

/** `recompute` takes keys as `$1`, the JSON text of an array of keys. */
export type CompiledView = Omit<Nodes, 'ids'> & {
  readonly view: View
  readonly table: ViewTable
  /** The view's own tables, quoted. */
  readonly tables: readonly string[]
  /** DDL of the view's own tables, in order, and where its floor begins. */
  readonly ddl: readonly string[]
  /** What its searchable fields need; no part of the definition, so made anew for a table that is there already. */
  readonly indexes: readonly string[]
  /** By path. */
  readonly touched: readonly Touched[]
  /** Every row that a row of the view is defined by, whatever is kept of it. */
  readonly dependencies: Dependencies
  /** From each of them to the view's own keys. */
  readonly reach: readonly DirtyPath[]
  /** Rewrites the rows of the keys `$1`; returns `key` (the values of `table.key` as text), `tenant`, `version` and `gone` of each row that changed. */
  readonly recompute: string
  /** The same of some fields of rows that are there, the fewest first. */
  readonly narrow: readonly Narrow[]
  /** The whole view as its definition says, from the entities alone, in the columns of its table: for proofs. */
  readonly definition: string
  /** How its tables are compared with what defines them, those first that others are made of. */
  readonly proofs: readonly Proof[]
}

/** A model doesn't change, and many ask for the same. */
const compiled = new WeakMap<Model, WeakMap<View, CompiledView>>()

export const compileView = (model: Model, view: View): CompiledView => {
  const known = compiled.get(model) ?? new WeakMap<View, CompiledView>()
  compiled.set(model, known)
  const found = known.get(view) ?? compile(model, view)
  known.set(view, found)
  return found
}

const compile = (model: Model, view: View): CompiledView => {
  const placeholder = '@view@'
  const root = entityOf(model, view.of)
  const sql = (view.groupBy ? groupedSql : rowsSql)(model, view, placeholder)
  const { shape, ids, fanouts, dependencies, rolling, proof, narrow, ...texts } = sql
  // Which rows count is said by their tables, not by the view's texts.
  const live = [...dependencies.values()].map(({ entity }) => `${entity.name}: ${liveSql(entity)}`)
  // Two views may say the same: each is a definition of its own.
  const begins = floorDdl(view, `"forebay_view".${ident(placeholder)}`)
  const said = [view.name, texts, [...new Set(live)].sort(), ...begins]
  const hash = sha256(JSON.stringify(said, withoutProofs)).slice(0, 12)
  // Postgres cuts names at 63 bytes; the tables and indexes of rollups add to this one.
  const name = `${snakeCase(view.name).slice(0, 38)}_${hash}`
  const named = (text: string): string => text.replaceAll(placeholder, name)
  const table: ViewTable = {
    view: view.name,
    hash,
    table: `"forebay_view".${ident(name)}`,
    tenanted: isTenanted(root),
    ...('claim' in root.tenant ? { claim: root.tenant.claim } : {}),
    grouped: view.groupBy !== undefined,
    key: viewKeys(model, view),
    rootKey: view.groupBy ? [] : rootKeyColumns(root, view),
    columns: shape.outputs.map(({ field, sqlType, answer }) => {
      const column = columnName(field.name)
      return { field: field.name, column, sqlType, answer: answer(ident(column)) }
    }),
    rolling: rolling.map(({ field, answer }) => ({ field, answer: named(answer) })),
    ...finalAtSql(view),
  }
  const aging = floorPath(model, view, table.table)
  const touched = [...touchedFields(model, view, ids), ...aging.map(() => 'ROW' as const)]
  return {
    view,
    table,
    tables: sql.tables.map(named),
    ddl: [...sql.ddl, ...begins].map(named),
    indexes: [...searchIndexes(view, table).map(({ ddl }) => ddl), ...floorIndexes(view, name, table.table)],
    paths: [...sql.paths, ...aging],
    fanouts: [...fanouts, ...aging.map(() => null)],
    nodes: sql.nodes.map(({ rollup, part, keys, ...node }) => ({
      ...node,
      keys: named(keys),
      ...(rollup ? { rollup: namedRollup(rollup, named) } : {}),
      ...(part ? { part: namedPart(part, named) } : {}),
    })),
    touched,
    narrow: narrow(touched).map((one) => ({ ...one, statement: named(one.statement) })),
    dependencies,
    reach: dirtyPaths(root, dependencies),
    recompute: named(sql.recompute),
    definition: named(sql.definition),
    proofs: proofsOf(sql.nodes, proof).map((one) => mapProof(one, named)),
  }
}

/** How a table is compared is no part of what is in it. */
const withoutProofs = (key: string, value: unknown): unknown => (key === 'proofs' ? undefined : value)

/** Those of rollups and parts first, the deepest before those that read them; of a rollup its members first. */
const proofsOf = (nodes: Nodes['nodes'], rows: ProofSql): readonly Proof[] => [
  ...nodes
    .flatMap(({ rollup, part, own, feeds }, node): Proof[] => {
      if (part) return [{ ...part.proofs, node, marks: [own], grouped: false }]
      if (!rollup) return []
      return [
        { ...rollup.proofs.sums, node, marks: feeds, grouped: true },
        ...rollup.proofs.values.map((values) => ({ ...values, node, marks: [], grouped: true })),
        { ...rollup.proofs.members, node, marks: [own], grouped: false },
      ]
    })
    .reverse(),
  { ...rows, node: 0, marks: [0], grouped: false },
]

const namedRollup = (sql: RollupSql, named: (text: string) => string): RollupSql => ({
  tables: sql.tables.map(named),
  ddl: sql.ddl.map(named),
  contribute: named(sql.contribute),
  purge: named(sql.purge),
  ...(sql.expiry ? { expiry: { raise: named(sql.expiry.raise), collect: sql.expiry.collect.map(named) } } : {}),
  proofs: sql.proofs,
})

const namedPart = (sql: PartSql, named: (text: string) => string): PartSql => ({
  table: named(sql.table),
  ddl: named(sql.ddl),
  recompute: named(sql.recompute),
  definition: sql.definition,
  proofs: sql.proofs,
})

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** The table alone: what the gateway needs. */
export const viewTable = (model: Model, view: View): ViewTable => compileView(model, view).table
