/**
 * Generations: which definitions of which views are kept up. A changed definition has another hash, so it is another generation
 * with tables of its own, which is built beside the one that serves (src/ingest/rebuild). Registering one excludes every apply
 * transaction, so that no change can commit between its first contents and its first log entry; and an applier that doesn't know
 * all of them reads them first, or stops where it can't keep them up (C8).
 */

import type { Model } from '../model/model.ts'
import { compileView } from '../model/sql/compile-view.ts'
import { decodeView, type StoredView, storedView, unfollowable } from '../model/stored-view.ts'
import { log } from '../platform/log.ts'
import type { Sql } from '../platform/postgres.ts'
import { makeIndexes } from './rebuild/indexes.ts'
import { register } from './rebuild/register.ts'
import { type Known, lockEverything, moved, type State } from './rebuild/states.ts'

export type Generation = StoredView & {
  readonly generation: number
  /** The hash of its definition, whichever build of it this is. */
  readonly declared: string
  /** When the catalog was read. */
  readonly state: State
  /** Likewise. False: it may be whole by now. */
  readonly filled: boolean
}
/**
 * Every generation that is kept up; those that this folder declares come first. `version` is that of forebay.catalog: it moves with every
 * registration and every move of a state. `reload` reads both anew where they can change; false: this process can't keep up all of it.
 */
export type Catalog = {
  readonly version: number
  readonly generations: readonly Generation[]
  reload?(): Promise<boolean>
}

/** Generations whose views read the entity. */
export const readersOf = (catalog: Catalog, entity: string): readonly number[] =>
  catalog.generations
    .filter(({ paths }) => paths.some((path) => path.entity === entity))
    .map(({ generation }) => generation)

/** The topics that a generation's rows depend on. */
export type TopicsRead = { readonly generation: number; readonly topics: readonly string[] }
export const topicsRead = ({ generations }: Catalog): readonly TopicsRead[] =>
  generations.map(({ generation, reads }) => ({
    generation,
    topics: [...new Set(Object.values(reads).map(({ topic }) => topic))],
  }))

/**
 * Makes the catalog say what the model declares. A view that is new serves at once; a changed one is built beside what serves; one that
 * is gone, or whose declaration is one that stands by, moves the pointer, but never away from a newer one that a running process declares. Quick: what fills new tables is a job of its own.
 */
export const registerViews = async (sql: Sql, model: Model): Promise<Catalog> => {
  const declared = declaredBy(model)
  await sql.begin(async (tx) => {
    await lockEverything(tx)
    await tx`create schema if not exists forebay_view`
    const changed = await register(tx, model, declared)
    if (changed) await moved(tx)
  })
  const catalog = await readCatalog(sql, model)
  if (!catalog.ok) throw new Error(catalog.reason)
  await makeIndexes(
    sql,
    catalog.generations.filter(({ table }) => declared.has(table.hash)),
  )
  return catalog
}

/** What a folder declares, by hash. */
export const declaredBy = (model: Model): ReadonlyMap<string, StoredView> =>
  new Map(
    [...model.views.values()].map((view) => {
      const compiled = storedView(model, compileView(model, view))
      return [compiled.table.hash, compiled]
    }),
  )

type Read =
  | ({ readonly ok: true } & Catalog)
  | { readonly ok: false; readonly version: number; readonly reason: string }

/** `reason`: why this process can't keep up all that is registered. */
const readCatalog = async (sql: Sql, model: Model): Promise<Read> => {
  const declared = declaredBy(model)
  const rows = await sql<(Known & { readonly version: number; readonly filled: boolean })[]>`
    select c.version, g.generation, g.view, g.hash, coalesce(g.declared, g.hash) as declared, g.state, g.filled_at is not null as filled, g.definition::text as definition
    from forebay.catalog c left join forebay.generations g on g.retired_at is null order by g.generation`
  const version = rows[0]?.version ?? 0
  const generations: Generation[] = []
  for (const { generation, view, hash, declared: of, state, filled, definition } of rows) {
    if (generation === null) continue
    const stored = declared.get(hash) ?? (definition === null ? undefined : decodeView(definition))
    const reason = stored ? unfollowable(model, stored) : 'its definition is not kept'
    if (!stored || reason !== undefined)
      return { ok: false, version, reason: `${unknownViews(version)} (${view}: ${reason})` }
    generations.push({ ...stored, generation, declared: of, state, filled })
  }
  const isOwn = (one: Generation): boolean => declared.has(one.declared)
  return {
    ok: true,
    version,
    generations: [...generations.filter(isOwn), ...generations.filter((one) => !isOwn(one))],
  }
}

/** A catalog that follows what others register. Throws where this process can't keep all of it up. */
export const openCatalog = async (sql: Sql, model: Model): Promise<Catalog> => {
  const first = await readCatalog(sql, model)
  if (!first.ok) throw new Error(first.reason)
  let current: Pick<Catalog, 'version' | 'generations'> = first
  let reading: Promise<boolean> | undefined
  const read = async (): Promise<boolean> => {
    const found = await readCatalog(sql, model)
    if (!found.ok) {
      log.error('catalog.unknown', { registered: found.version, reason: found.reason })
      return false
    }
    if (found.version !== current.version) {
      current = found
      log.info('catalog.read', {
        version: found.version,
        generations: found.generations.map(({ table, generation, state }) => `${table.view} ${generation} ${state}`),
      })
    }
    return true
  }
  return {
    get version() {
      return current.version
    },
    get generations() {
      return current.generations
    },
    reload() {
      reading ??= read().finally(() => {
        reading = undefined
      })
      return reading
    },
  }
}

/** An apply transaction that tries again once it knows what was registered meanwhile. */
export const knowingAll = async <T extends { readonly kind: string }>(
  catalog: Catalog,
  attempt: () => Promise<T>,
): Promise<T> => {
  for (;;) {
    const result = await attempt()
    if (result.kind !== 'unknown-generation' || !(await catalog.reload?.())) return result
  }
}

/** The catalog for those who write but don't register; undefined where it isn't one that this folder's views are in. */
export const registeredViews = async (sql: Sql, model: Model): Promise<Catalog | undefined> => {
  const found = await readCatalog(sql, model)
  if (!found.ok) return undefined
  const known = new Set(found.generations.map(({ declared }) => declared))
  return [...declaredBy(model).keys()].every((hash) => known.has(hash)) ? openCatalog(sql, model) : undefined
}

/** Why a process that doesn't know all registered views can't go on. */
export const unknownViews = (registered: number): string =>
  `another process registered views that this one doesn't know (catalog ${registered}): start this one with the same schema folder`
