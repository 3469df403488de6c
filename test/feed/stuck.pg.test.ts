/** C14: a slot feed that can't go on says which command lets it, and that command does. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { locks } from '../../src/ingest/locks.ts'
import { connect } from '../../src/platform/postgres.ts'
import { until } from '../kafka/client.ts'
import { runCli } from '../platform/run-cli.ts'
import { run } from '../support/find.ts'
import { type OwnSource, startOwnSource } from '../support/source-postgres.ts'
import { declare, type Engine, engine, later, loseSlot, type Source, sourceOn, startHere, untilEqual } from './world.ts'

const fill = `
  insert into items (id, n) select i, i from generate_series(1, 1500) i;
  insert into lines (item_id, no, amount) select i, n, i from generate_series(1, 200) i, generate_series(1, 2) n`

type World = { readonly server: OwnSource; readonly source: Source; readonly own: Engine; readonly slot: string }
const follow = async (settings: Readonly<Record<string, string>> = {}): Promise<World> => {
  const server = later(await startOwnSource({ settings }), (made) => made.stop())
  const source = await sourceOn(server.url)
  const connection = `s${randomBytes(4).toString('hex')}`
  const own = await engine(declare('', connection), { [connection]: source.url })
  await source.sql.unsafe(fill)
  return { server, source, own, slot: `forebay_${connection}` }
}

type Partition = { readonly state: string; readonly reason: string | null; readonly epoch: number }
const partitions = ({ own }: World) =>
  own.sql<Partition[]>`select state, reason, epoch from forebay.positions order by topic, partition`
/** Why it is stuck, once all its partitions say so. */
const stuckReason = async (world: World): Promise<string> => {
  const all = async () => (await partitions(world)).every(({ state }) => state === 'STUCK')
  await until(all, 'stuck', 30_000)
  const reasons = new Set((await partitions(world)).map(({ reason }) => reason))
  expect(reasons.size).toBe(1)
  return [...reasons][0] ?? ''
}

/** Runs the command that a reason names, as an operator would. */
const obey = async ({ own }: World, reason: string, ...more: readonly string[]) => {
  const [, args] = /: forebay (replay --entity \w+ --snapshot) makes a new slot/.exec(reason) ?? []
  if (args === undefined) throw new Error(`no command in: ${reason}`)
  const folder = later(await mkdtemp(join(tmpdir(), 'forebay-stuck-')), (made) => rm(made, { recursive: true }))
  await writeFile(join(folder, 'shop.graphql'), own.text)
  const variables = { DATABASE_URL: own.url, FOREBAY_SCHEMA: folder, FOREBAY_DATA: folder }
  return runCli([...args.split(' '), ...more], variables)
}

const running = async (world: World, epoch: number): Promise<void> =>
  until(
    async () => (await partitions(world)).every((one) => one.state === 'RUNNING' && one.epoch === epoch),
    `running in epoch ${epoch}`,
  )

test('C13 C14 a slot that was dropped: the command reads all anew, sweeps what is gone, and may be given twice at once', {
  timeout: 90_000,
}, async () => {
  const world = await follow()
  const { source, own } = world
  const ingest = await startHere(own)
  await untilEqual(source, own)
  await loseSlot(source)
  // What nobody has seen.
  await source.sql`delete from items where id % 3 = 0`
  await source.sql`truncate lines`
  await source.sql`update items set n = -1 where id % 3 = 1`
  await source.sql`insert into items (id, n) values (9001, 1)`
  const reason = await stuckReason(world)
  expect(reason).toMatch(/slot forebay_\w+ is gone/)
  expect((await ingest.ready()).ready).toBe(false)
  // Its rows are served meanwhile.
  expect(await own.sql`select id from shop.item where not _deleted`).toHaveLength(1_500)

  const both = await Promise.all([obey(world, reason), obey(world, reason)])
  for (const said of both) expect(said).toMatchObject({ code: 0, stderr: '' })
  expect(both.map(({ stdout }) => stdout.split('\n')[0]).toSorted()).toEqual([
    expect.stringMatching(/^Asked the feed of \w+ to read public\.items anew\.$/),
    expect.stringMatching(/^The feed of \w+ was stuck\. It goes on with a new slot/),
  ])
  for (const { stdout } of both) expect(stdout).toMatch(/100% of \d[\d,]* rows renewed/)
  await untilEqual(source, own)
  await running(world, 1)
  await until(async () => (await ingest.ready()).ready, 'ready')
  await source.sql`update items set label = 'after' where id = 1`
  await untilEqual(source, own)
  await running(world, 1)
})

test('law 5 after a slot was lost: no moment of the source is promised before what is gone is swept', {
  timeout: 90_000,
}, async () => {
  const world = await follow()
  const { source, own } = world
  const ingest = await startHere(own)
  await untilEqual(source, own)
  await until(async () => (await ingest.ready()).ready, 'ready')
  await loseSlot(source)
  await own.sql`select pg_sleep(0.1)`
  const [before] = await own.sql<{ at: string }[]>`select clock_timestamp()::text as at`
  await source.sql`delete from items where id % 3 = 0`
  const reason = await stuckReason(world)
  // Somebody else is at the sweep, and takes his time.
  const sweeping = await own.sql.reserve()
  await sweeping`select pg_advisory_lock(${locks.sweep}, hashtext('Item'))`
  expect(await obey(world, reason, '--detach')).toMatchObject({ code: 0, stderr: '' })
  const items = async () => {
    const [row] = await own.sql<{ read: boolean; promised: boolean }[]>`
      select bool_and(p.next_offset = e.next_offset) and max(p.epoch) = 1 and exists (select from forebay.snapshots where entity = 'Item' and epoch = 1 and state = 'READ') as read,
        bool_or(p.source_frontier > ${before!.at}::timestamptz) as promised
      from forebay.positions p join forebay.journal_ends e using (topic, partition) where topic like '%items'`
    return row!
  }
  await until(async () => (await items()).read, 'the snapshot is applied')
  const observed = async () => {
    const [row] = await own.sql<{ at: string }[]>`
      select min(source_frontier)::text as at from forebay.positions where topic like '%lines'`
    return row!.at > before!.at
  }
  await until(observed, 'other tables go on')
  await own.sql`select pg_sleep(1)`
  expect((await items()).promised).toBe(false)
  expect(await own.sql`select id from shop.item where not _deleted and id::int % 3 = 0`).not.toHaveLength(0)
  await sweeping`select pg_advisory_unlock_all()`
  sweeping.release()
  await untilEqual(source, own)
  await until(async () => (await items()).promised, 'promised again')
})

test('C14 a slot that the source gave up for its size', { timeout: 90_000 }, async () => {
  const world = await follow({ max_slot_wal_keep_size: '1MB', min_wal_size: '32MB', max_wal_size: '32MB' })
  const { source, own, slot } = world
  const first = await startHere(own)
  await untilEqual(source, own)
  await first.end()
  await source.sql`delete from items where id <= 500`
  await until(async () => {
    await source.sql`select pg_logical_emit_message(false, 'fill', repeat('x', 1000000)) from generate_series(1, 20)`
    await source.sql`select pg_switch_wal()`
    await source.sql`checkpoint`
    const [row] = await source.sql<
      { lost: boolean }[]
    >`select wal_status = 'lost' as lost from pg_replication_slots where slot_name = ${slot}`
    return row!.lost
  }, 'the slot is lost')
  await startHere(own)
  const reason = await stuckReason(world)
  expect(reason).toMatch(/has thrown away what slot .* had not read yet/)
  expect(await obey(world, reason)).toMatchObject({ code: 0, stderr: '' })
  await untilEqual(source, own)
  await running(world, 1)
})

test('C14 another server at the address, whose log is far behind: its rows win', { timeout: 90_000 }, async () => {
  const world = await follow()
  const { server, source, own } = world
  // So that a place in the new server's log is lower than every one before.
  for (let i = 0; i < 4; i++) {
    await source.sql`select pg_switch_wal()`
    await source.sql`update items set n = n + 1`
  }
  const ingest = await startHere(own)
  await untilEqual(source, own)
  await server.shutdown()
  const other = later(await startOwnSource({ at: server }), (made) => made.stop())
  await replaceDatabase(other, source)
  await source.sql`insert into items (id, n) select i, -i from generate_series(1000, 2000) i`
  const reason = await stuckReason(world)
  expect(reason).toMatch(/is another server than before/)
  expect(await obey(world, reason)).toMatchObject({ code: 0, stderr: '' })
  await untilEqual(source, own)
  await source.sql`delete from items where id = 1000`
  await source.sql`update items set n = 0 where id = 1001`
  await untilEqual(source, own)
  await running(world, 1)
  await until(async () => (await ingest.ready()).ready, 'ready')
})

/** A server that was made the primary: what a standby holds is what it was copied of. */
const promote = async (at: OwnSource, copyOf: Pick<OwnSource, 'cluster'>): Promise<OwnSource> => {
  const settings = { restore_command: 'false' }
  const standby = later(await startOwnSource({ at, copyOf, settings, promote: true }), (made) => made.stop())
  const sql = connect(standby.url, { max: 1, name: 'test administration' })
  await until(async () => {
    const [row] = await sql<{ promoted: boolean }[]>`select not pg_is_in_recovery() as promoted`
    return row!.promoted
  }, 'promoted')
  await sql.end({ timeout: 1 })
  return standby
}

test('C14 a failover to a server that has all that was read goes on; to one that lacks some, is STUCK', {
  timeout: 120_000,
}, async () => {
  const world = await follow()
  const { server, source, own } = world
  const first = await startHere(own)
  await untilEqual(source, own)
  await server.shutdown()
  const second = await promote(server, server)
  await source.sql`update items set label = 'failed over' where id <= 10`
  await untilEqual(source, own)
  await running(world, 0)

  await first.end()
  await second.shutdown()
  const folder = later(await mkdtemp(join(tmpdir(), 'forebay-standby-')), (made) => rm(made, { recursive: true }))
  await run('cp', ['-a', second.cluster, folder])
  await second.start()
  // Read, and then lost: the server that takes over was copied before.
  await startHere(own)
  await source.sql`update items set label = 'lost' where id = 20`
  await source.sql`delete from items where id = 21`
  await untilEqual(source, own)
  await second.shutdown()
  await promote(second, { cluster: join(folder, 'postgres') })
  // Between where the histories part and where reading had come: what no slot would send again.
  await source.sql`update items set label = 'kept' where id = 22`
  await source.sql`update items set n = n + 1`
  const reason = await stuckReason(world)
  expect(reason).toMatch(/failed over to a server without the last changes/)
  expect(await obey(world, reason)).toMatchObject({ code: 0, stderr: '' })
  await untilEqual(source, own)
  await running(world, 1)
})

/** The same database, tables and all, on a server that took the other's address. */
const replaceDatabase = async (server: OwnSource, source: Source): Promise<void> => {
  const made = await sourceOn(server.url)
  await made.sql.end({ timeout: 1 })
  const [from, to] = [made.url, source.url].map((url) => new URL(url).pathname.slice(1))
  const admin = connect(server.url, { max: 1, name: 'test administration' })
  await admin.unsafe(`alter database ${from} rename to ${to}`)
  await admin.end({ timeout: 1 })
}
