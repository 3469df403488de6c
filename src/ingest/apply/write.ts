/** Changes → rows and dirty log, whoever brings them: a batch of a log, or records that were redriven. */
import type { Entity, Model } from '../../model/model.ts'
import { entityOf } from '../../model/sql/row-scope.ts'
import { codeOf } from '../../platform/postgres.ts'
import type { Change, DropReason } from '../change.ts'
import { currentSlot } from '../dirty-log.ts'
import type { Catalog } from '../generations.ts'
import type { Partition } from '../source.ts'
import { entityStatement, fillStatement, type Outcome } from './entity-statement.ts'
import type { Origins, Tx } from './fence.ts'
import { fold } from './fold.ts'
import { inputParameters, type Row } from './input-rows.ts'
import { announce, bringImages, type Filled, keyChangeOf } from './key-change.ts'
import type { LoggedPath } from './logged.ts'
import type { Refused } from './stretch.ts'

/**
 * `refreshed`: of the rows, those written anew from the record they stand on, by a replay alone. `logged`: keys written to the dirty
 * log.
 */
export type Written = {
  readonly rows: number
  readonly refreshed: number
  /** Changes that were not applied. */
  readonly dropped: readonly Dropped[]
  readonly logged: number
}
export type Dropped = { readonly entity: string; readonly reason: DropReason; readonly count: number }

export const nothing: Written = { rows: 0, refreshed: 0, dropped: [], logged: 0 }
export const sum = (a: Written, b: Written): Written => ({
  rows: a.rows + b.rows,
  refreshed: a.refreshed + b.refreshed,
  dropped: sumDropped([...a.dropped, ...b.dropped]),
  logged: a.logged + b.logged,
})

/** By entity and reason, each at most once. */
export const sumDropped = (dropped: readonly Dropped[]): readonly Dropped[] =>
  dropped.length < 2
    ? dropped
    : [...Map.groupBy(dropped, ({ entity, reason }) => `${entity} ${reason}`).values()].map((same) => ({
        ...same[0]!,
        count: same.reduce((total, { count }) => total + count, 0),
      }))

const droppedOf = (entity: string, counts: Partial<Record<DropReason, number>>): Dropped[] =>
  Object.entries(counts).flatMap(([reason, count]) =>
    count > 0 ? [{ entity, reason: reason as DropReason, count }] : [],
  )

/** In the order of the log. Throws Restored, Unfit, and what Postgres throws. */
export type Write = (tx: Tx, changes: readonly Change[], from: Origins) => Promise<Written>

/** The source's order went back in time (C14): nothing of the transaction may stay. */
export class Restored extends Error {
  readonly partitions: readonly Partition[]
  constructor(partitions: readonly Partition[]) {
    super('the source went back in time')
    this.partitions = partitions
  }
}

/** A table refuses these records: the transaction has to come again with them in quarantine. */
export class Unfit extends Error {
  readonly refused: readonly Refused[]
  constructor(refused: readonly Refused[], reason: string) {
    super(reason)
    this.refused = refused
  }
}

/** A table refuses a record; which one is for the caller to find. `code`: the SQLSTATE. */
export class RefusedBy extends Error {
  readonly entity: string
  readonly code: string
  constructor(entity: string, cause: unknown) {
    super(`${entity} refuses a row`, { cause })
    this.entity = entity
    this.code = codeOf(cause)
  }
}
/** Data exception, constraint, limit. A statement that does not fit the tables (42) is no record's fault: it stops everything. */
const rowAtFault = (error: unknown): boolean => /^(22|23|54)/.test(codeOf(error))

type Statements = { readonly change: string; keeping(): string; fill(): string }
const statementsOf = (
  entity: Entity,
  paths: readonly LoggedPath[],
  how: { readonly refresh?: boolean },
): Statements => ({
  change: entityStatement(entity, paths, how),
  keeping: () => entityStatement(entity, paths, { ...how, keeps: true }),
  fill: () => fillStatement(entity, paths),
})

/** `refresh`: a row may be written anew by the record it stands on, see `entityStatement`. */
export const createWrite = (model: Model, catalog: Catalog, how: { readonly refresh?: boolean } = {}): Write => {
  // Made anew when the catalog was: its version is compared under the lock that keeps it, so it can't change before the commit.
  let made: { readonly of: Catalog['generations']; readonly statements: ReadonlyMap<string, Statements> } | undefined
  const statements = (): ReadonlyMap<string, Statements> => {
    const of = catalog.generations
    if (made?.of !== of) {
      const all = [...model.entities.values()]
      made = { of, statements: new Map(all.map((one) => [one.name, statementsOf(one, pathsOf(one, of), how)])) }
    }
    return made.statements
  }

  return async (tx, changes, { origin, origins, offsets }) => {
    let total = nothing
    const refused: Refused[] = []
    const restored: Partition[] = []
    const run = async <T>(entity: Entity, statement: string, given: readonly (string | string[])[]): Promise<T> => {
      const own = origins?.get(entity.source.topic)
      const parameters = [currentSlot(), own === undefined ? origin : own, offsets, ...given]
      const [outcome] = (await tx.unsafe(statement, parameters, { prepare: true }).catch((error: unknown) => {
        throw rowAtFault(error) ? new RefusedBy(entity.name, error) : error
      })) as unknown as [T]
      return outcome
    }
    /** Answers with the key changes whose old image was kept. */
    const layer = async (entity: Entity, rows: readonly Row[]): Promise<readonly string[]> => {
      const { change, keeping } = statements().get(entity.name)!
      const keeps = rows.some(({ leaves }) => leaves !== undefined)
      const parameters = inputParameters(entity, rows, keeps)
      const outcome = await run<Outcome>(entity, keeps ? keeping() : change, parameters)
      const { applied, refreshed, older, duplicate, olderFields, logged, kept } = outcome
      const dropped = droppedOf(entity.name, { older, duplicate, 'older-fields': olderFields })
      total = sum(total, { rows: applied, refreshed, dropped, logged })
      const { topic } = entity.source
      for (const { partition, offset } of outcome.moved)
        refused.push({ entity: entity.name, topic, partition, offset: BigInt(offset) })
      restored.push(...outcome.restored.map(({ partition }) => ({ topic, partition })))
      return kept
    }
    const writeEntity = async (entity: Entity, own: readonly Change[]): Promise<void> => {
      const { layers, older, duplicate, restored: wentBack } = fold(entity, own)
      restored.push(...wentBack.map(({ position }) => position))
      total = sum(total, { ...nothing, dropped: droppedOf(entity.name, { older, duplicate }) })
      const rows = layers.map((changes) => changes.map((change) => keyChangeOf(entity, change)))
      const ids = await Promise.all([announce(tx, entity, rows.flat()), ...rows.map((one) => layer(entity, one))])
      const fill = (some: readonly string[]) => run<Filled>(entity, statements().get(entity.name)!.fill(), [[...some]])
      const { applied, logged } = await bringImages(tx, entity, ids.flat(), fill)
      total = sum(total, { ...nothing, rows: applied, logged })
    }
    // In one order, as keys within a statement are: two writers that meet on rows of two entities would wait for each other.
    const byEntity = [...Map.groupBy(changes, ({ entity }) => entity)].sort(([a], [b]) => (a < b ? -1 : 1))
    await Promise.all(byEntity.map(([name, own]) => writeEntity(entityOf(model, name), own)))
    if (restored.length) throw new Restored(restored)
    if (refused.length) throw new Unfit(refused, 'its key belongs to another tenant already')
    return total
  }
}

const pathsOf = (entity: Entity, generations: Catalog['generations']): LoggedPath[] =>
  generations.flatMap(({ generation, paths }) =>
    paths.flatMap(({ entity: from, fedBy, values, watched }, path) =>
      from === entity.name && fedBy === undefined ? [{ generation, path, values, watched }] : [],
    ),
  )
