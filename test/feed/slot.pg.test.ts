/** Tables followed by a replication slot, through whatever befalls it. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../kafka/client.ts'
import { startPostgres15 } from '../support/postgres-15.ts'
import { type SourcePostgres, startOwnSource, startSourcePostgres } from '../support/source-postgres.ts'
import {
  declare,
  dropSlots,
  type Engine,
  engine,
  expectNoDuplicates,
  later,
  type Source,
  sourceOn,
  startChild,
  startHere,
  untilEqual,
} from './world.ts'

let server: SourcePostgres
beforeAll(async () => {
  server = await startSourcePostgres()
}, 60_000)
afterAll(() => server?.stop())

const fill = `
  insert into items (id, n, price, label, tags, data)
  select i, 9007199254740000 + i, i * 1.10, 'it''s "' || i, array['a,b', '"q\\', '{x}', 'null', '', i::text], '{"a": 1.50}' from generate_series(1, 2500) i;
  insert into lines (item_id, no, amount) select i, n, i from generate_series(1, 300) i, generate_series(1, 3) n`

/** Slots are the server's, so each test has one of its own; none is left behind. */
const follow = async (url = server.url): Promise<{ source: Source; own: Engine }> => {
  const source = later(await sourceOn(url), dropSlots)
  const connection = `s${randomBytes(4).toString('hex')}`
  const own = await engine(declare('', connection), { [connection]: source.url })
  return { source, own }
}

const versions = [
  ['18', async () => server],
  ['15', async () => later(await startPostgres15(), (made) => made.stop())],
] as const
test.each(versions)(
  'Postgres %s: a snapshot, then every change: creates, updates, deletes, changed keys, large values left alone, truncate',
  {
    timeout: 60_000,
  },
  async (_, start) => {
    const { source, own } = await follow((await start()).url)
    await source.sql.unsafe(fill)
    const ingest = await startHere(own)
    await untilEqual(source, own)
    await until(async () => (await ingest.ready()).ready, 'ready')

    await source.sql.begin(async (tx) => {
      await tx`update items set label = 'one', n = n + 1 where id % 10 = 0`
      await tx`update items set label = 'two' where id % 20 = 0`
      await tx`insert into items (id, n) values (5001, 1)`
      await tx`delete from items where id = 5001`
      await tx`insert into items (id, n) values (5001, 2)`
      await tx`delete from lines where no = 2`
    })
    await source.sql`update items set id = id + 10000 where id between 100 and 120`
    await source.sql`update lines set item_id = item_id + 10000, no = no + 1 where item_id between 100 and 120`
    // Stored apart from its row, so an update of another column leaves it out of the log; a changed key too.
    await source.sql`update items set label = (select string_agg(md5(i::text), '') from generate_series(1, 400) i) where id <= 5`
    await source.sql`update items set n = n + 1 where id <= 5`
    await source.sql`update items set id = id + 20000 where id <= 2`
    await untilEqual(source, own)
    const [left] = await own.sql<{ n: number }[]>`
    select count(*)::int as n from forebay.journal where convert_from(value, 'UTF8') like '%__debezium_unavailable_value%'`
    expect(left!.n).toBeGreaterThan(0)
    await source.sql`truncate lines`
    await source.sql`insert into lines (item_id, no, amount) values (7, 1, 1)`
    await untilEqual(source, own)
    await expectNoDuplicates(own)
  },
)

/** Writers of every kind at once, transactions that stay open for a while among them. Ends when told. */
const startWriters = ({ sql }: Source) => {
  let writing = true
  const write = async (seed: number): Promise<void> => {
    for (let round = 0; writing; round++) {
      const at = (round * 37 + seed * 11) % 2400
      await sql.begin(async (tx) => {
        await tx`update items set n = n + 1, label = ${`w${seed}-${round}`} where id between ${at} and ${at + 20} and id % 3 = ${seed}`
        if (round % 5 === seed) await new Promise((done) => setTimeout(done, 15))
        await tx`insert into items (id, n) values (${100_000 + seed * 50_000 + round}, ${round})`
        await tx`delete from lines where item_id = ${at} and no = ${1 + seed}`
        await tx`insert into lines (item_id, no, amount) values (${at}, ${seed + 4}, ${round}) on conflict (item_id, no) do update set amount = excluded.amount`
      })
    }
  }
  const all = Promise.all([0, 1, 2].map(write))
  return {
    async end() {
      writing = false
      await all
    },
  }
}

test('law 3 through a slot: writers go on while the snapshot is read, and the hand-over is exact', {
  timeout: 90_000,
}, async () => {
  const { source, own } = await follow()
  await source.sql.unsafe(`${fill}; insert into items (id, n) select i, i from generate_series(20001, 35000) i`)
  const writers = startWriters(source)
  const ingest = await startHere(own)
  await until(async () => (await ingest.ready()).ready, 'the snapshot is read', 60_000)
  await writers.end()
  await untilEqual(source, own)
  await expectNoDuplicates(own)
})

test('law 4 through a slot: ingest killed during the snapshot and while streaming, its connections cut', {
  timeout: 180_000,
}, async () => {
  const { source, own } = await follow()
  await source.sql.unsafe(`${fill}; insert into items (id, n) select i, i from generate_series(20001, 30000) i`)
  const writers = startWriters(source)
  for (let kills = 0; kills < 6; kills++) {
    const child = await startChild(own)
    await new Promise((done) => setTimeout(done, 100 + 150 * kills))
    if (kills % 2)
      await source.sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and (application_name like 'forebay feed%' or application_name like 'forebay snapshot%')`
    await child.kill()
  }
  // Larger than one append, in one transaction, and killed in its middle.
  await source.sql`insert into items (id, n) select i, i from generate_series(300001, 320000) i`
  const child = await startChild(own)
  await until(
    async () => {
      const [row] = await own.sql<
        { inside: number | null }[]
      >`select (cursor->>'inside')::int as inside from forebay.cursors`
      return (row?.inside ?? 0) > 3_000
    },
    'in the middle of it',
    60_000,
  )
  await child.kill()
  await writers.end()
  await startChild(own)
  await untilEqual(source, own, 60_000)
  await expectNoDuplicates(own)
})

test('law 5 through a slot: a commit that did not wait for the source’s disk is before no moment that is promised', {
  timeout: 60_000,
}, async () => {
  // So long may such a commit lie in memory, seen by everybody and sent to nobody.
  const own = later(await startOwnSource({ settings: { wal_writer_delay: '4s' } }), (made) => made.stop())
  const { source, own: engine } = await follow(own.url)
  const ingest = await startHere(engine)
  await until(async () => (await ingest.ready()).ready, 'ready')
  for (let id = 1; id <= 3; id++) {
    await source.sql.begin(async (tx) => {
      await tx`set local synchronous_commit = off`
      await tx`insert into items (id, n) values (${id}, 1)`
    })
    const [now] = await engine.sql<{ at: string }[]>`select clock_timestamp()::text as at`
    const promised = async () => {
      const [row] = await engine.sql<{ is: boolean }[]>`
        select min(source_frontier) > ${now!.at}::timestamptz as is from forebay.positions`
      return row!.is
    }
    await until(promised, 'a later moment is promised', 20_000)
    expect(await engine.sql`select 1 from shop.item where id = ${String(id)}`).toHaveLength(1)
  }
})
