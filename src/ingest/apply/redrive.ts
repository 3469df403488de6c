/**
 * redrive: records of quarantine once more through decode and the entity statement (C7), key by key in the order of their log, and
 * after each the records that waited behind it. What still can't be applied stays parked, and what waits behind that stays too.
 *
 * A chunk of keys is one transaction, fenced against registrations like any other writer (C8), and against appliers by the locks on
 * the keys' held records: a successor that arrives meanwhile is either seen here, or sees what happened here.
 */
import type { Model } from '../../model/model.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Decoded, LogRecord } from '../change.ts'
import type { Decoder } from '../decode.ts'
import { type Catalog, unknownViews } from '../generations.ts'
import { type Bounds, isBelowFloor, readBounds } from './bounds.ts'
import { holdCatalog, type Tx } from './fence.ts'
import { type HeldRecord, readHeld } from './held-record.ts'
import { waitsBehind, work } from './park.ts'
import { type HeldKey, lockHeld, settle } from './quarantine.ts'
import type { Queue, Step } from './queues.ts'
import { toldOf } from './stretch.ts'
import { createWrite, RefusedBy, Restored, Unfit } from './write.ts'

/** `parked` and `waiting`: those of the chosen that stay. */
export type Redriven = {
  readonly redriven: number
  readonly superseded: number
  readonly dropped: number
  readonly parked: number
  readonly waiting: number
}
/** `chosen`: which of the keys' records. `drops`: which are given up instead; called with their ids in the transaction that does so. */
export type Wish = {
  readonly chosen: (record: HeldRecord) => boolean
  readonly drops?: {
    readonly of: (record: HeldRecord) => boolean
    note(tx: Tx, dropped: readonly HeldRecord[]): Promise<void>
  }
}
export type Redriver = { redrive(keys: readonly HeldKey[], wish: Wish): Promise<Redriven> }

const chunk = 200
/** Views were registered that the catalog at hand doesn't know. */
class Outdated extends Error {}
const none: Redriven = { redriven: 0, superseded: 0, dropped: 0, parked: 0, waiting: 0 }
const add = (a: Redriven, b: Redriven): Redriven => ({
  redriven: a.redriven + b.redriven,
  superseded: a.superseded + b.superseded,
  dropped: a.dropped + b.dropped,
  parked: a.parked + b.parked,
  waiting: a.waiting + b.waiting,
})

/**
 * `ready` has what a record needs to be decoded at hand, or throws: then the record stays. Throws when views were registered that
 * `catalog` doesn't know, and what Postgres throws.
 */
export const createRedriver = (
  sql: Sql,
  model: Model,
  catalog: Catalog,
  decoder: Decoder,
  ready?: (record: LogRecord, epoch: number) => Promise<unknown>,
): Redriver => {
  const tools = { model, catalog, write: createWrite(model, catalog) }

  /** `refused`: why a table doesn't take a record, by its id. */
  const attempt = async (
    keys: readonly HeldKey[],
    { chosen, drops }: Wish,
    refused: ReadonlyMap<string, string>,
  ): Promise<Redriven> =>
    sql.begin(async (tx) => {
      const version = await holdCatalog(tx)
      if (version !== catalog.version) throw new Outdated(unknownViews(version))
      const { floors } = await readBounds(tx)
      // What an applier added while its locks were waited for is seen by the next statement only.
      await lockHeld(tx, keys)
      const records = await readHeld(tx, keys)
      const dropped = records.filter((record) => drops?.of(record) ?? false)
      const rest = records.filter((record) => !dropped.includes(record))
      const wanted = new Set(rest.filter(chosen))
      const queues = [...Map.groupBy(rest, ({ entity, key }) => `${entity} ${key}`).values()].map((own): Queue => {
        const { entity, key } = own[0]!
        const steps = own.flatMap((record) =>
          wanted.has(record)
            ? stepsOf(record, decoder, refused.get(record.id)).filter((step) => !isBelow(step, floors))
            : [stays(record, record.reason)],
        )
        return { entity, key, held: [], steps }
      })
      const { worked } = await work(tx, tools, queues, originOf([...wanted]))
      const fates = new Map<string, Set<string>>()
      for (const [{ id }, fate] of worked.fates) fates.set(id!, (fates.get(id!) ?? new Set()).add(fate))
      const only = (id: string, fate: string): boolean =>
        [...(fates.get(id) ?? ['applied'])].every((one) => one === fate)
      const ids = (fate: string): string[] => rest.filter(({ id }) => only(id, fate)).map(({ id }) => id)
      const applied = ids('applied')
      const superseded = ids('superseded')
      const stayed = [...wanted].filter(({ id }) => !applied.includes(id) && !superseded.includes(id))
      await settle(tx, applied, 'REDRIVEN')
      await settle(tx, superseded, 'SUPERSEDED')
      await stay(
        tx,
        stayed.map(({ id }) => ({
          id,
          waiting: only(id, 'waiting'),
          reason: reasons(queues, id) ?? waitsBehind,
        })),
      )
      if (dropped.length > 0) {
        await settle(
          tx,
          dropped.map(({ id }) => id),
          'DROPPED',
        )
        await drops!.note(tx, dropped)
      }
      const waiting = stayed.filter(({ id }) => only(id, 'waiting')).length
      return {
        redriven: applied.length,
        superseded: superseded.length,
        dropped: dropped.length,
        parked: stayed.length - waiting,
        waiting,
      } satisfies Redriven
    }) as Promise<Redriven>

  const together = async (keys: readonly HeldKey[], wish: Wish): Promise<Redriven> => {
    try {
      return await attempt(keys, wish, new Map())
    } catch (error) {
      if (error instanceof Outdated && (await catalog.reload?.())) return together(keys, wish)
      if (!isRefusal(error)) throw error
    }
    if (keys.length === 1) return oneByOne(keys[0]!, wish)
    const middle = Math.ceil(keys.length / 2)
    return add(await together(keys.slice(0, middle), wish), await together(keys.slice(middle), wish))
  }

  /** Record by record, so that it shows which of them it is. */
  const oneByOne = async (key: HeldKey, wish: Wish): Promise<Redriven> => {
    let total = none
    for (const { id } of await sql.begin((tx) => readHeld(tx, [key]))) {
      const one: Wish = { ...wish, chosen: (record) => record.id === id && wish.chosen(record) }
      const done = await attempt([key], one, new Map()).catch((error: unknown) => {
        if (!isRefusal(error)) throw error
        return attempt([key], one, new Map([[id, refusalOf(error)]]))
      })
      total = add(total, done)
    }
    return total
  }

  return {
    async redrive(keys, wish) {
      let total = none
      for (let at = 0; at < keys.length; at += chunk) {
        const some = keys.slice(at, at + chunk)
        if (ready)
          for (const { record, epoch } of await sql.begin((tx) => readHeld(tx, some)))
            await ready(record, epoch).catch(() => undefined)
        total = add(total, await together(some, wish))
      }
      return total
    },
  }
}

type Refusal = Unfit | RefusedBy | Restored
const isRefusal = (error: unknown): error is Refusal =>
  error instanceof Unfit || error instanceof RefusedBy || error instanceof Restored
const refusalOf = (error: Refusal): string => {
  if (error instanceof RefusedBy) return `can't be stored (SQLSTATE ${error.code})`
  return error instanceof Unfit ? error.message : 'is earlier by its log position than its row, but later by its time'
}

/** A truncate came after it, which took away what it would bring (C17). */
const isBelow = ({ act }: Step, floors: Bounds['floors']): boolean =>
  act.kind !== 'bad' && isBelowFloor(act.kind === 'change' ? act.change : act.set, floors)

/** What a record means by now. Nothing, where it has become one that means no change. */
const stepsOf = (held: HeldRecord, decoder: Decoder, refused: string | undefined): readonly Step[] => {
  if (refused !== undefined) return [stays(held, refused)]
  const { id, record, epoch } = held
  const own = decoder.decode(record, epoch).filter((one) => !('entity' in one) || one.entity === held.entity)
  return own.flatMap((decoded: Decoded): readonly Step[] => {
    switch (decoded.kind) {
      case 'changes': {
        const mine = ({ entity }: { readonly entity: string }) => entity === held.entity
        return [
          ...decoded.changes
            .filter(mine)
            .map((change): Step => ({ id, record, epoch, told: toldOf(change), act: { kind: 'change', change } })),
          ...decoded.sets
            .filter(mine)
            .map((set): Step => ({ id, record, epoch, told: toldOf(set), act: { kind: 'set', set } })),
        ]
      }
      case 'skipped':
      case 'dropped':
        return []
      case 'truncate':
        return [stays(held, 'is a truncate, which counts where it stands in the log only')]
      case 'bad':
      case 'stopped':
        return [stays(held, decoded.reason)]
      case 'unprepared':
        return [
          stays(
            held,
            `needs the schema ${decoded.schema}, which is not at hand: is SCHEMA_REGISTRY_URL set, and does the registry answer?`,
          ),
        ]
    }
  })
}

const stays = ({ id, record, epoch, major }: HeldRecord, reason: string): Step => ({
  id,
  record,
  epoch,
  told: { key: {}, row: {}, absent: [], gone: false, major },
  act: { kind: 'bad', reason },
})

const reasons = (queues: readonly Queue[], id: string): string | undefined => {
  for (const { steps } of queues)
    for (const step of steps) if (step.id === id && step.act.kind === 'bad') return step.act.reason
  return undefined
}

/** Their changes were in the log before any frontier that is later than theirs, and are in no view yet (C22). */
const originOf = (records: readonly HeldRecord[]) => {
  const offsets: Record<string, Record<string, string>> = {}
  for (const { record } of records) {
    offsets[record.topic] ??= {}
    const known = offsets[record.topic]![record.partition]
    if (known === undefined || BigInt(known) > record.offset)
      offsets[record.topic]![record.partition] = String(record.offset)
  }
  const [origin = null] = records.map((one) => one.origin).sort()
  return { origin, offsets: JSON.stringify(offsets) }
}

const stay = async (
  tx: Tx,
  records: readonly { readonly id: string; readonly waiting: boolean; readonly reason: string }[],
): Promise<void> => {
  if (records.length === 0) return
  await tx`
    update forebay.quarantine q set state = case when x.waiting then 'WAITING' else 'PARKED' end, reason = x.reason
    from json_to_recordset(${JSON.stringify(records)}::text::json) as x(id bigint, waiting boolean, reason text)
    where q.id = x.id and (q.reason, q.state) is distinct from (x.reason, case when x.waiting then 'WAITING' else 'PARKED' end)`
}
