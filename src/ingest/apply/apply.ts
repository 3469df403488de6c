/**
 * apply: one transaction a batch. Positions and rows move together, so the effect is exactly once: a batch whose positions have
 * already moved, or that another process has applied, changes nothing.
 */
import type { Entity, Model } from '../../model/model.ts'
import { entityOf } from '../../model/sql/row-scope.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Position } from '../change.ts'
import { currentSlot } from '../dirty-log.ts'
import type { Catalog } from '../generations.ts'
import type { Partition } from '../source.ts'
import { resolveSets } from './documents.ts'
import { entityStatement, type LoggedPath, type Outcome, rowsJson } from './entity-statement.ts'
import { takeFence } from './fence.ts'
import { fold } from './fold.ts'
import { quarantine } from './quarantine.ts'
import type { Stretch } from './stretch.ts'

export type Applied = {
  readonly kind: 'applied'
  readonly rows: number
  readonly older: number
  readonly duplicate: number
  readonly quarantined: number
  /** Keys written to the dirty log. */
  readonly logged: number
}
/**
 * `lost`: a position was not where it was expected (somebody else applied, or a state forbids it): read the positions again.
 * `stuck`: the source's order went back in time (C14). `unknown-generation`: another process registered views this one doesn't know.
 */
export type ApplyResult =
  | Applied
  | { readonly kind: 'lost' }
  | { readonly kind: 'stuck'; readonly partitions: readonly Partition[]; readonly reason: string }
  | { readonly kind: 'unknown-generation'; readonly registered: number }

export type Applier = { apply(stretches: readonly Stretch[]): Promise<ApplyResult> }

export const createApplier = (sql: Sql, model: Model, catalog: Catalog): Applier => {
  const statements = new Map<string, string>()
  for (const entity of model.entities.values())
    statements.set(entity.name, entityStatement(entity, pathsOf(entity, catalog)))

  return {
    apply: (stretches) =>
      sql
        .begin(async (tx) => {
          const items = stretches.flatMap((stretch) => stretch.items)
          const fence = await takeFence(tx, stretches, catalog.version)
          if (fence.kind !== 'held') throw new Abandoned(fence)
          const stored = await resolveSets(
            tx,
            model,
            items.flatMap(({ sets }) => sets),
          )
          const byEntity = Map.groupBy([...items.flatMap(({ changes }) => changes), ...stored], ({ entity }) => entity)
          const total = { rows: 0, older: 0, duplicate: 0, logged: 0 }
          const refused: Position[] = []
          const restored: Partition[] = []
          const pending = [...byEntity].flatMap(([name, changes]) => {
            const entity = entityOf(model, name)
            const { layers, older, duplicate, restored: wentBack } = fold(entity, changes)
            restored.push(...wentBack.map(({ position }) => position))
            total.older += older
            total.duplicate += duplicate
            return layers.map(async (layer) => {
              const parameters = [rowsJson(entity, layer), currentSlot(), fence.origin, fence.offsets]
              const [row] = (await tx.unsafe(statements.get(name)!, parameters, {
                prepare: true,
              })) as unknown as Outcome[]
              const outcome = row!
              total.rows += outcome.applied
              total.older += outcome.older
              total.duplicate += outcome.duplicate
              total.logged += outcome.logged
              const { topic } = entity.source
              refused.push(
                ...outcome.moved.map(({ partition, offset }) => ({ topic, partition, offset: BigInt(offset) })),
              )
              restored.push(...outcome.restored.map(({ partition }) => ({ topic, partition })))
            })
          })
          const bad = items.flatMap((item) => item.bad)
          pending.push(quarantine(tx, bad))
          await Promise.all(pending)
          if (restored.length) {
            throw new Abandoned({
              kind: 'stuck',
              partitions: restored,
              reason:
                'a change is later by its time but earlier by its log position than the row it would replace: the source was restored or replaced. Start a new epoch with: forebay replay --new-epoch <topic>',
            })
          }
          if (refused.length) throw new Moved(refused)
          return { kind: 'applied', ...total, quarantined: bad.length } satisfies Applied
        })
        .catch((error: unknown) => {
          if (error instanceof Abandoned) return error.result
          throw error
        }) as Promise<ApplyResult>,
  }
}

/** Carries a result out of a transaction that is to be rolled back. */
class Abandoned extends Error {
  readonly result: Exclude<ApplyResult, Applied>
  constructor(result: Exclude<ApplyResult, Applied>) {
    super(result.kind)
    this.result = result
  }
}

/** These records would move their key to another tenant: the batch has to come again with them in quarantine. */
export class Moved extends Error {
  readonly positions: readonly Position[]
  constructor(positions: readonly Position[]) {
    super('a key changes tenant')
    this.positions = positions
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
