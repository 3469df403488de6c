/** Changes → rows and dirty log, whoever brings them: a batch of a log, or records that were redriven. */
import type { Entity, Model } from '../../model/model.ts'
import { entityOf } from '../../model/sql/row-scope.ts'
import { codeOf } from '../../platform/postgres.ts'
import type { Change } from '../change.ts'
import { currentSlot } from '../dirty-log.ts'
import type { Catalog } from '../generations.ts'
import type { Partition } from '../source.ts'
import { entityStatement, type LoggedPath, type Outcome } from './entity-statement.ts'
import type { Origins, Tx } from './fence.ts'
import { fold } from './fold.ts'
import { inputParameters } from './input-rows.ts'
import type { Refused } from './stretch.ts'

/**
 * `refreshed`: of the rows, those written anew from the record they stand on, by a replay alone. `logged`: keys written to the dirty
 * log.
 */
export type Written = {
  readonly rows: number
  readonly refreshed: number
  readonly older: number
  readonly duplicate: number
  readonly logged: number
}
export const nothing: Written = { rows: 0, refreshed: 0, older: 0, duplicate: 0, logged: 0 }
export const sum = (a: Written, b: Written): Written => ({
  rows: a.rows + b.rows,
  refreshed: a.refreshed + b.refreshed,
  older: a.older + b.older,
  duplicate: a.duplicate + b.duplicate,
  logged: a.logged + b.logged,
})

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

/** `refresh`: a row may be written anew by the record it stands on, see `entityStatement`. */
export const createWrite = (model: Model, catalog: Catalog, how: { readonly refresh?: boolean } = {}): Write => {
  const statements = new Map<string, string>()
  for (const entity of model.entities.values())
    statements.set(entity.name, entityStatement(entity, pathsOf(entity, catalog), how))

  return async (tx, changes, { origin, origins, offsets }) => {
    let total = nothing
    const refused: Refused[] = []
    const restored: Partition[] = []
    const layer = async (entity: Entity, rows: readonly Change[]): Promise<void> => {
      const own = origins?.get(entity.source.topic)
      const parameters = [currentSlot(), own === undefined ? origin : own, offsets, ...inputParameters(entity, rows)]
      const run = tx.unsafe(statements.get(entity.name)!, parameters, { prepare: true })
      const [outcome] = (await run.catch((error: unknown) => {
        throw rowAtFault(error) ? new RefusedBy(entity.name, error) : error
      })) as unknown as [Outcome]
      const { applied, refreshed, older, duplicate, logged } = outcome
      total = sum(total, { rows: applied, refreshed, older, duplicate, logged })
      const { topic } = entity.source
      for (const { partition, offset } of outcome.moved)
        refused.push({ entity: entity.name, topic, partition, offset: BigInt(offset) })
      restored.push(...outcome.restored.map(({ partition }) => ({ topic, partition })))
    }
    await Promise.all(
      [...Map.groupBy(changes, ({ entity }) => entity)].flatMap(([name, own]) => {
        const entity = entityOf(model, name)
        const { layers, older, duplicate, restored: wentBack } = fold(entity, own)
        restored.push(...wentBack.map(({ position }) => position))
        total = sum(total, { ...nothing, older, duplicate })
        return layers.map((rows) => layer(entity, rows))
      }),
    )
    if (restored.length) throw new Restored(restored)
    if (refused.length) throw new Unfit(refused, 'its key belongs to another tenant already')
    return total
  }
}

const pathsOf = (entity: Entity, catalog: Catalog): LoggedPath[] =>
  catalog.generations.flatMap(({ generation, paths }) =>
    paths.flatMap((path, number) =>
      path.entity === entity.name
        ? [{ generation, path: path.expand ? number : 0, values: path.values, watched: path.watched }]
        : [],
    ),
  )
