/**
 * Entities against the source database that a slot follows. Pages of the source's table are compared with what is stored, then stored keys
 * are looked up at the source. What differs is judged like this, until one of two is clear:
 *
 *   the source is read (t1) ─► everything it had committed by t1 is applied (the frontier is beyond it) ─► the stored row is read ─► the source is read
 *
 * If both reads of the source show one version of the row, the stored one must be that. A row that isn't there has no version: then the
 * stored row must be the one that was stored before t1. Drift is put right by a read as an incremental snapshot has it: it leaves the row
 * its version, so every later change of the stream wins.
 */
import type { Entity, Model } from '../../model/model.ts'
import { connect, type Sql } from '../../platform/postgres.ts'
import { holdCatalog, type Tx } from '../apply/fence.ts'
import { entitiesHeld } from '../apply/quarantine.ts'
import { createWrite } from '../apply/write.ts'
import type { Change } from '../change.ts'
import type { Decoder } from '../decode.ts'
import type { Catalog } from '../generations.ts'
import { partitionOf } from '../source/journal.ts'
import { keepEvidence, noteSeen, type Open, openOf, report, settleEqual, settleWrong } from './drift.ts'
import { movePass, type Pass, type Subject, waitsFor } from './pass.ts'
import { openSourceTable, type SourceRow, type SourceTable, whyNotComparable } from './source-table.ts'
import { comparedRows, liveKeys, type StoredOf, storedRows } from './stored-rows.ts'
import type { EntityWalker } from './worker.ts'

/** `after`: of the source's keys; then `known`: of those that are stored. */
type Cursor = { readonly after: readonly string[] | null } | { readonly known: string | null }
/** What was read of a key before, and when by the primary's clock, milliseconds. */
type Evidence = { readonly source: string; readonly stored: string; readonly at: number }

const absent = 'none'
const judgedAtOnce = 200

export type EntitiesOptions = {
  readonly sql: Sql
  readonly model: Model
  readonly catalog: Catalog
  readonly decoder: Decoder
  readonly connections: Readonly<Record<string, string>>
}

export const comparableEntities = (model: Model): readonly Entity[] =>
  [...model.entities.values()].filter((entity) => whyNotComparable(entity) === undefined)

export const walkEntities = ({ sql, model, catalog, decoder, connections }: EntitiesOptions): EntityWalker => {
  const entities = new Map(comparableEntities(model).map((entity) => [entity.name, entity]))
  const write = createWrite(model, catalog)
  const pools = new Map<string, Sql>()
  const poolOf = (connection: string): Sql => {
    const known = pools.get(connection)
    if (known) return known
    const settings = { default_transaction_read_only: 'on' }
    const made = connect(connections[connection]!, {
      max: 1,
      name: `reconcile ${connection}`,
      statementTimeoutMs: 5_000,
      settings,
    })
    pools.set(connection, made)
    return made
  }

  const read = async (pass: Pass, entity: Entity, source: SourceTable, size: number): Promise<void> => {
    const cursor = (pass.cursor as Cursor | null) ?? { after: null }
    if ('after' in cursor) {
      const { rows, last } = await source.page(cursor.after, size)
      const compared = await comparedRows(
        sql,
        entity,
        rows.map(({ change }) => change),
      )
      const seen = compared.filter(({ same }) => !same).map(({ k, live }) => seenOf(k, live ? 'CHANGED' : 'MISSING'))
      const next: Cursor = last === null ? { known: null } : { after: last }
      return sql.begin(async (tx) => {
        await noteSeen(tx, pass, seen)
        await movePass(tx, pass, next, rows.length)
      }) as Promise<void>
    }
    const keys = await liveKeys(sql, entity, cursor.known, size)
    const there = await keysOf(entity, keys.length > 0 ? await source.byKeys(keys) : [])
    const seen = keys.filter((key) => !there.has(key)).map((key) => seenOf(key, 'EXTRA'))
    await sql.begin(async (tx) => {
      await noteSeen(tx, pass, seen)
      await movePass(tx, pass, keys.length < size ? undefined : { known: keys.at(-1)! }, 0)
    })
  }
  const keysOf = async (entity: Entity, rows: readonly SourceRow[]): Promise<ReadonlyMap<string, SourceRow>> => {
    const compared = await comparedRows(
      sql,
      entity,
      rows.map(({ change }) => change),
    )
    return new Map(compared.map(({ k, n }) => [k, rows[n]!]))
  }

  const judge = async (pass: Pass, entity: Entity, source: SourceTable): Promise<boolean> => {
    const open = await openOf(sql, pass, judgedAtOnce)
    if (open.length === 0) return false
    if ((await sql.begin((tx) => entitiesHeld(tx, [entity.name]))).size > 0) {
      await waitsFor(sql, pass, 'records of it lie in quarantine')
      return false
    }
    const keys = open.map(({ key }) => key)
    // In this order, see above.
    const frontier = await frontierOf(sql, entity)
    const stored = new Map((await storedRows(sql, entity, keys)).map((one) => [one.k, one]))
    const rows = await source.byKeys(keys)
    const at = await nowOf(sql)
    const compared = await comparedRows(
      sql,
      entity,
      rows.map(({ change }) => change),
    )
    const bySource = new Map(compared.map((one) => [one.k, { ...one, row: rows[one.n]! }]))
    const equal: Open[] = []
    const wrong: Wrong[] = []
    const doubtful: { id: string; evidence: Evidence }[] = []
    for (const one of open) {
      const here = stored.get(one.key)!
      const there = bySource.get(one.key)
      const evidence: Evidence = { source: there?.row.stamp ?? absent, stored: here.stamp, at }
      const before = one.evidence as Evidence | null
      const stands = there === undefined || there.stamp === here.stamp
      if (there ? there.same : !here.live) equal.push(one)
      else if (
        before !== null &&
        stands &&
        frontier !== null &&
        frontier > before.at &&
        before.source === evidence.source &&
        before.stored === evidence.stored
      )
        wrong.push({ open: one, here, row: there?.row })
      else doubtful.push({ id: one.id, evidence })
    }
    await sql.begin(async (tx) => {
      await settleEqual(
        tx,
        equal.map(({ id }) => id),
      )
      await keepEvidence(tx, doubtful)
    })
    if (wrong.length > 0) await repair(entity, wrong)
    return equal.length > 0 || wrong.length > 0
  }

  const repair = async (entity: Entity, wrong: readonly Wrong[]): Promise<void> => {
    const done = (await sql.begin(async (tx) => {
      if ((await holdCatalog(tx)) !== catalog.version) return []
      const keys = wrong.map(({ open }) => open.key)
      const now = new Map((await storedRows(tx, entity, keys, true)).map((one) => [one.k, one.stamp]))
      const standing = wrong.filter(({ open, here }) => now.get(open.key) === here.stamp)
      const places = await placesOf(tx, entity)
      const changes = standing.map((one) => changeOf(entity, one, places))
      await write(tx, changes, { origin: places.origin, offsets: '{}' })
      await settleWrong(
        tx,
        standing.map((one) => ({ id: one.open.id, kind: kindOf(one) })),
      )
      return standing
    })) as readonly Wrong[]
    const found = done.filter(({ open }) => !open.found)
    report(
      'ENTITY',
      entity.name,
      found.map((one) => ({ k: one.open.key, kind: kindOf(one) })),
    )
  }

  return {
    subjects: [...entities.keys()].map((name): Subject => ({ kind: 'ENTITY', name, generation: null })),
    async step(pass, size) {
      const entity = entities.get(pass.name)!
      const table = entity.source.table!
      const source = await openSourceTable(poolOf(table.connection), entity, table, decoder)
      if (pass.state === 'JUDGING') return judge(pass, entity, source)
      await read(pass, entity, source, size)
      return true
    },
    async stop() {
      await Promise.all([...pools.values()].map((pool) => pool.end({ timeout: 1 })))
    },
  }
}

type Wrong = { readonly open: Open; readonly here: StoredOf; readonly row: SourceRow | undefined }
const kindOf = ({ here, row }: Wrong): string => (row === undefined ? 'EXTRA' : here.live ? 'CHANGED' : 'MISSING')
const seenOf = (key: string, kind: string) => ({ key, kind, shard: null, proof: 0 })

type Places = {
  readonly origin: string | null
  readonly partitions: readonly { readonly partition: number; readonly epoch: number; readonly next: string }[]
}
const placesOf = async (tx: Tx, { source }: Entity): Promise<Places> => {
  const partitions = await tx<{ partition: number; epoch: number; next: string; frontier: string | null }[]>`
    select partition, epoch, next_offset::text as next, frontier::text as frontier from forebay.positions where topic = ${source.topic} order by partition`
  const frontiers = partitions.map(({ frontier }) => frontier)
  return { partitions, origin: frontiers.includes(null) ? null : ((frontiers as string[]).sort()[0] ?? null) }
}

/** A row that was never stored gets the place before the next record of its partition: what comes later is later. */
const changeOf = (entity: Entity, { here, row }: Wrong, { partitions }: Places): Change => {
  const { topic } = entity.source
  const own = here.partition ?? (row ? partitionOf(row.recordKey, partitions.length) : 0)
  const { epoch = 0, next = '0' } = partitions.find(({ partition }) => partition === own) ?? {}
  const offset = here.offset === null ? BigInt(next) - 1n : BigInt(here.offset) + 1n
  const placed = {
    version: { kind: 'incremental', epoch },
    live: false,
    position: { topic, partition: own, offset },
  } as const
  if (row) return { ...row.change, ...placed, eventTime: null }
  return {
    entity: entity.name,
    op: 'delete',
    row: Object.fromEntries(entity.key.map((name, i) => [name, here.texts[i]!])),
    absent: [],
    eventTime: null,
    ...placed,
  }
}

/** Milliseconds since 1970 by the primary's clock; null: some partition has none. */
const frontierOf = async (sql: Sql, { source }: Entity): Promise<number | null> => {
  const [row] = await sql<{ at: number | null }[]>`
    select case when bool_and(frontier is not null) then extract(epoch from min(frontier))::float8 * 1000 end as at
    from forebay.positions where topic = ${source.topic}`
  return row!.at
}
const nowOf = async (sql: Sql): Promise<number> => {
  const [row] = await sql<{ at: number }[]>`select extract(epoch from clock_timestamp())::float8 * 1000 as at`
  return row!.at
}
