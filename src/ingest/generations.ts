/**
 * Generations: which definitions of which views are kept up. A changed definition has another hash, so it is another generation
 * with a table of its own. Registering one excludes every apply transaction, so that no change can commit between its first
 * contents and its first log entry; and an applier that doesn't know all of them stops (C8).
 */

import type { Model } from '../model/model.ts'
import { entityTable } from '../model/names.ts'
import { type CompiledView, compileView } from '../model/sql/compile-view.ts'
import { rootKey } from '../model/sql/dirty-path.ts'
import { type HeldPath, heldPaths } from '../model/sql/held.ts'
import { shardOf } from '../model/sql/key.ts'
import { entityOf } from '../model/sql/row-scope.ts'
import type { Sql } from '../platform/postgres.ts'
import { markHeldAgain } from './apply/mark-held.ts'
import { currentSlot } from './dirty-log.ts'
import { locks } from './locks.ts'

export type Generation = CompiledView & { readonly generation: number; readonly held: readonly HeldPath[] }
/** `version` is that of forebay.catalog: it moves with every registration. */
export type Catalog = { readonly version: number; readonly generations: readonly Generation[] }

/** Generations whose views read the entity. */
export const readersOf = (catalog: Catalog, entity: string): readonly number[] =>
  catalog.generations
    .filter(({ paths }) => paths.some((path) => path.entity === entity))
    .map(({ generation }) => generation)

/** The topics that a generation's rows depend on. */
export type TopicsRead = { readonly generation: number; readonly topics: readonly string[] }
export const topicsRead = (model: Model, { generations }: Catalog): readonly TopicsRead[] =>
  generations.map(({ generation, paths }) => ({
    generation,
    topics: [...new Set(paths.map(({ entity }) => entityOf(model, entity).source.topic))],
  }))

/** Root keys that one log entry of a first filling holds. */
const chunk = 1000

/**
 * Makes the catalog say exactly what the model declares: new definitions get their table and are filled through the dirty log,
 * definitions that are gone are retired (their tables stay, no longer kept up).
 */
export const registerViews = async (sql: Sql, model: Model): Promise<Catalog> => {
  const compiled = [...model.views.values()].map((view) => compileView(model, view))
  return sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${locks.catalog}, 0)`
    await tx`create schema if not exists forebay_view`
    const known = await tx<{ generation: number; view: string; hash: string; retired: boolean }[]>`
      select generation, view, hash, retired_at is not null as retired from forebay.generations`
    const keep = new Set(compiled.map(({ table }) => `${table.view} ${table.hash}`))
    const gone = known.filter(({ view, hash, retired }) => !retired && !keep.has(`${view} ${hash}`))
    const active = known.filter(({ retired }) => !retired)
    const generations: Generation[] = []
    let changed = gone.length > 0
    if (gone.length) {
      const numbers = gone.map(({ generation }) => generation)
      await tx`update forebay.generations set retired_at = now() where generation = any(${numbers}::int[])`
      await tx`delete from forebay.dirty where generation = any(${numbers}::int[])`
    }
    for (const view of compiled) {
      const same = ({ view: name, hash }: { view: string; hash: string }) =>
        name === view.table.view && hash === view.table.hash
      const found = active.find(same)
      if (found) {
        for (const statement of view.indexes) await tx.unsafe(statement)
        generations.push(numbered(model, view, found.generation))
        continue
      }
      changed = true
      // A definition that comes back was not kept up meanwhile: it begins anew.
      await tx`delete from forebay.generations where view = ${view.table.view} and hash = ${view.table.hash}`
      for (const table of view.tables) await tx.unsafe(`drop table if exists ${table}`)
      for (const statement of [...view.ddl, ...view.indexes]) await tx.unsafe(statement)
      const [row] = await tx<{ generation: number }[]>`
        insert into forebay.generations (view, hash) values (${view.table.view}, ${view.table.hash}) returning generation`
      const root = entityOf(model, view.view.of)
      await tx.unsafe(
        `insert into forebay.dirty (slot, generation, path, shard, keys, n)
         select $1::smallint, $2::int, 0, shard, jsonb_agg(k), count(*) from (
           select k, shard, (row_number() over (partition by shard)) / ${chunk} as chunk
           from (select k, ${shardOf('k')} as shard from (select ${rootKey(root, 'r')} as k from ${entityTable(root)} r where _live) r) s) c
         group by shard, chunk`,
        [currentSlot(), row!.generation],
      )
      const made = numbered(model, view, row!.generation)
      await markHeldAgain(tx, [made])
      generations.push(made)
    }
    const [catalog] = changed
      ? await tx<{ version: number }[]>`update forebay.catalog set version = version + 1 returning version`
      : await tx<{ version: number }[]>`select version from forebay.catalog`
    return { version: catalog!.version, generations }
  }) as Promise<Catalog>
}

const numbered = (model: Model, compiled: CompiledView, generation: number): Generation => ({
  ...compiled,
  generation,
  held: heldPaths(model, compiled.view, compiled.paths),
})

/** The catalog, where what is registered is exactly what the model declares; for those who write but don't register. */
export const registeredViews = async (sql: Sql, model: Model): Promise<Catalog | undefined> => {
  const rows = await sql<{ version: number; generation: number | null; view: string; hash: string }[]>`
    select c.version, g.generation, g.view, g.hash from forebay.catalog c left join forebay.generations g on g.retired_at is null`
  const generations = [...model.views.values()].flatMap((view): Generation[] => {
    const compiled = compileView(model, view)
    const found = rows.find((row) => row.view === view.name && row.hash === compiled.table.hash)
    return found?.generation == null ? [] : [numbered(model, compiled, found.generation)]
  })
  const registered = rows.filter(({ generation }) => generation !== null).length
  if (generations.length !== model.views.size || registered !== generations.length) return undefined
  return { version: rows[0]!.version, generations }
}

/** Why a process that doesn't know all registered views can't go on. */
export const unknownViews = (registered: number): string =>
  `another process registered views that this one doesn't know (catalog ${registered}): start this one with the same schema folder`
