/**
 * apply, for a replay: through the one entity statement (C7), under the job's own fence.
 *
 * What is held in quarantine is none of its concern: a row is what its own record makes of it, and what is parked or waits comes after
 * that by redrive. A record that can't be read any more is parked only where the row may stand on it: where a later one of its key is
 * stored it means nothing any longer, and where not even its key can be told nobody waits for it, since live has long gone past it.
 */
import type { Entity, Model } from '../../model/model.ts'
import { columnName, columnSqlType, entityTable, ident } from '../../model/names.ts'
import { columnOf, entityOf } from '../../model/sql/row-scope.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Applier, ApplyResult } from '../apply/apply.ts'
import { aboveFloors, readBounds } from '../apply/bounds.ts'
import { resolveSets } from '../apply/documents.ts'
import type { Tx } from '../apply/fence.ts'
import { heldKey, keep } from '../apply/quarantine.ts'
import { orderedByLog } from '../apply/queues.ts'
import { createWrite } from '../apply/write.ts'
import type { BadRecord, CellValue, Told } from '../change.ts'
import { type Catalog, knowingAll } from '../generations.ts'
import { replayFence } from './fence.ts'

export type ReplayOptions = {
  readonly sql: Sql
  readonly model: Model
  readonly catalog: Catalog
  readonly id: number
  /** So many records can't be read and are passed over. */
  readonly passedOver: (records: readonly BadRecord[]) => void
}

export const replayApplier = ({ sql, model, catalog, id, passedOver }: ReplayOptions): Applier => {
  const write = createWrite(model, catalog, { refresh: true })
  const takeFence = replayFence(id)
  const attempt: Applier['apply'] = async (stretches) => {
    const read = stretches.flatMap((stretch) => stretch.items)
    const bad = read.flatMap((item) => item.bad)
    const result = await sql.begin(async (tx): Promise<{ result: ApplyResult; over: readonly BadRecord[] }> => {
      const [fence, { floors }] = await Promise.all([takeFence(tx, stretches, catalog.version), readBounds(tx)])
      if (fence.kind !== 'held') return { result: fence, over: [] }
      const items = aboveFloors(read, floors)
      const sets = await resolveSets(
        tx,
        model,
        items.flatMap((item) => item.sets),
        true,
      )
      const written = await write(tx, [...items.flatMap(({ changes }) => changes), ...sets.changes], fence)
      const parking = await worthParking(tx, model, bad)
      const kept = parking.map((one) => ({
        ...one,
        key: heldKey(entityOf(model, one.entity), one.told.key),
        state: 'PARKED' as const,
      }))
      await keep(tx, { model, catalog }, kept, fence.origin)
      const none = { waiting: 0, superseded: 0, stopped: [], whole: true }
      const over = bad.filter((one) => !parking.some(({ record }) => record === one.record))
      return { result: { kind: 'applied', ...written, ...none, parked: kept.length }, over }
    })
    const { result: outcome, over } = result as { result: ApplyResult; over: readonly BadRecord[] }
    passedOver(over)
    return outcome
  }
  return { apply: (stretches) => knowingAll(catalog, () => attempt(stretches)) }
}

type Telling = BadRecord & { readonly told: Told }

/** Those whose key has no later record's row. */
const worthParking = async (tx: Tx, model: Model, bad: readonly BadRecord[]): Promise<readonly Telling[]> => {
  const told = bad.filter((one): one is Telling => one.told !== undefined)
  const worth: Telling[] = []
  for (const [name, group] of Map.groupBy(told, ({ entity }) => entity)) {
    const entity = entityOf(model, name)
    const moot = orderedByLog(entity) ? await mootOf(tx, entity, group) : new Set<number>()
    worth.push(...group.filter((_, n) => !moot.has(n)))
  }
  return worth
}

const mootOf = async (tx: Tx, entity: Entity, bad: readonly Telling[]): Promise<ReadonlySet<number>> => {
  // Of an array's entity the parent's columns are told.
  const key = Object.keys(bad[0]!.told.key).map((field) => ({ field, column: ident(columnName(field)) }))
  const typed = key.map(({ field, column }) => `${column} ${columnSqlType(columnOf(entity, field))}`)
  const asked = bad.map(({ told, epoch, record: { partition, offset } }, n) => ({
    n,
    ...Object.fromEntries(key.map(({ field }): [string, CellValue] => [columnName(field), told.key[field]!])),
    _epoch: epoch,
    _partition: partition,
    _offset: String(offset),
  }))
  const rows = (await tx.unsafe(
    `select distinct x.n from json_to_recordset($1::text::json) as x(n int, ${typed.join(', ')}, _epoch int, _partition int, _offset bigint)
     join ${entityTable(entity)} e on ${key.map(({ column }) => `e.${column} = x.${column}`).join(' and ')}
     where e._epoch > x._epoch or e._partition = x._partition and e._offset > x._offset`,
    [JSON.stringify(asked)],
  )) as unknown as { n: number }[]
  return new Set(rows.map(({ n }) => n))
}
