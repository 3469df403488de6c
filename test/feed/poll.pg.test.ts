/** A table that is polled: what its watermark shows, what it doesn't, and what dies on the way. */
import { expect, inject, test } from 'vitest'
import { until } from '../kafka/client.ts'
import { declare, engine, sourceOn, startChild, startHere, untilEqual } from './world.ts'

const polled = (more = 'every: "PT0.05S", overlap: "PT2S", sweep: "PT0.4S"') =>
  declare(`, watermark: "seen_at", ${more}`)

const fill = `
  insert into items (id, n, price, label, tags, data)
  select i, 9007199254740000 + i, i * 1.10, 'it''s "' || i, array['a,b', '"q\\', '{x}', 'null', '', i::text], '{"a": 1.50}' from generate_series(1, 2500) i;
  insert into lines (item_id, no, amount) select i, n, i from generate_series(1, 300) i, generate_series(1, 3) n`

test('a polled table: snapshot, changes, equal watermarks, deletes by the sweep', { timeout: 60_000 }, async () => {
  const source = await sourceOn(inject('postgresUrl'))
  const own = await engine(polled(), { src: source.url })
  await source.sql.unsafe(fill)
  const ingest = await startHere(own)
  await untilEqual(source, own)
  await until(async () => (await ingest.ready()).ready, 'ready')

  await source.sql`update items set label = 'changed', seen_at = clock_timestamp() where id % 100 = 0`
  // One watermark for more rows than a page holds.
  await source.sql`update lines set amount = -1, seen_at = now() where item_id < 250`
  await source.sql`update lines set amount = -1, seen_at = (select max(seen_at) from lines) where item_id >= 250`
  await untilEqual(source, own)
  await source.sql`delete from items where id % 7 = 0`
  await source.sql`delete from lines where no = 2`
  await untilEqual(source, own)
  await source.sql`insert into items (id, n) values (7, 1)`
  await untilEqual(source, own)
  await ingest.end()
})

test('a transaction that commits after later watermarks were read is found within the overlap', {
  timeout: 60_000,
}, async () => {
  const source = await sourceOn(inject('postgresUrl'))
  const own = await engine(polled('every: "PT0.05S", overlap: "PT10S", sweep: "PT0S"'), { src: source.url })
  await startHere(own)
  const slow = Promise.withResolvers<void>()
  const began = Promise.withResolvers<void>()
  const late = source.sql.begin(async (tx) => {
    await tx`insert into items (id, n) values (1, 1)`
    began.resolve()
    await slow.promise
  })
  await began.promise
  await source.sql`insert into items (id, n) values (2, 2)`
  const seen = () => own.sql`select id from shop.item order by id`
  await until(async () => (await seen()).length === 1, 'the later one is read')
  slow.resolve()
  await late
  await untilEqual(source, own)
})

test('what no watermark shows is found by the sweep: a row whose watermark went back, and one without', {
  timeout: 60_000,
}, async () => {
  const source = await sourceOn(inject('postgresUrl'))
  await source.sql.unsafe(`alter table items alter seen_at drop not null; ${fill}`)
  const own = await engine(polled(), { src: source.url })
  await startHere(own)
  await untilEqual(source, own)
  await source.sql`update items set label = 'back', seen_at = '2001-01-01Z' where id = 5`
  await source.sql`update items set label = 'none', seen_at = null where id = 6`
  await untilEqual(source, own)
})

test('a row dated ahead hides none that comes meanwhile', { timeout: 60_000 }, async () => {
  const source = await sourceOn(inject('postgresUrl'))
  const own = await engine(polled('every: "PT0.05S", overlap: "PT1S", sweep: "PT0S"'), { src: source.url })
  await startHere(own)
  await source.sql`insert into items (id, n, seen_at) values (1, 1, now() + interval '1 day')`
  await untilEqual(source, own)
  await source.sql`insert into items (id, n) values (2, 2)`
  await untilEqual(source, own)
})

test('a clock that is set back at the source hides nothing of what comes after', { timeout: 60_000 }, async () => {
  const source = await sourceOn(inject('postgresUrl'))
  const name = new URL(source.url).pathname.slice(1)
  // The source's own clock, for whoever asks it by its plain name.
  await source.sql.unsafe(`
    create table clock as select interval '0' as ahead;
    create function public.now() returns timestamptz stable language sql as 'select pg_catalog.now() + ahead from public.clock';
    alter database ${name} set search_path = public, pg_catalog`)
  const own = await engine(polled('every: "PT0.05S", overlap: "PT1S", sweep: "PT0S"'), { src: source.url })
  await startHere(own)
  const insert = (id: number) => source.sql`insert into items (id, n, seen_at) values (${id}, 1, public.now())`
  await insert(1)
  await untilEqual(source, own)
  await source.sql`update clock set ahead = '-1 hour'`
  await insert(2)
  await untilEqual(source, own)
  await insert(3)
  await source.sql`update items set label = 'again', seen_at = public.now() where id = 1`
  await untilEqual(source, own)
})

test('soft deletes by a poll: what the declaration counts as deleted leaves its views, and comes back', {
  timeout: 60_000,
}, async () => {
  const source = await sourceOn(inject('postgresUrl'))
  const soft = polled('every: "PT0.05S", overlap: "PT1S", sweep: "PT0S"').replace(
    'source: { table: "items" }',
    'source: { table: "items" }, deleted: { label: { eq: "gone" } }',
  )
  const own = await engine(soft, { src: source.url })
  await startHere(own)
  await source.sql`insert into items (id, n) values (1, 1), (2, 2), (3, 3)`
  const shown = async () => {
    const [view] = await own.sql<{ name: string }[]>`
      select format('forebay_view.item_file_%s', hash) as name from forebay.generations where state = 'ACTIVE'`
    return (await own.sql.unsafe<{ id: string }[]>(`select id from ${view!.name} order by id`)).map(({ id }) => id)
  }
  await expect.poll(shown, { timeout: 20_000 }).toEqual(['1', '2', '3'])
  await source.sql`update items set label = 'gone', seen_at = clock_timestamp() where id <= 2`
  await expect.poll(shown, { timeout: 20_000 }).toEqual(['3'])
  await source.sql`update items set label = 'back', seen_at = clock_timestamp() where id = 2`
  await expect.poll(shown, { timeout: 20_000 }).toEqual(['2', '3'])
  await untilEqual(source, own)
})

test('law 4 through a poll: ingest killed at random moments, connections cut, ends equal to the source', {
  timeout: 120_000,
}, async () => {
  const source = await sourceOn(inject('postgresUrl'))
  const own = await engine(polled(), { src: source.url })
  await source.sql.unsafe(fill)
  let writing = true
  const writer = (async () => {
    for (let round = 0; writing; round++) {
      await source.sql`update items set n = n + 1, seen_at = clock_timestamp() where id % 50 = ${round % 50}`
      await source.sql`delete from lines where item_id = ${round}`
      await source.sql`insert into items (id, n) values (${10_000 + round}, 1)`
    }
  })()
  for (let kills = 0; kills < 6; kills++) {
    const child = await startChild(own)
    await new Promise((done) => setTimeout(done, 100 + 130 * kills))
    if (kills % 2)
      await source.sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'forebay poll%' and datname = current_database()`
    await child.kill()
  }
  writing = false
  await writer
  await startChild(own)
  await untilEqual(source, own)
  const [row] = await own.sql<{ n: number }[]>`
    select count(*)::int as n from (select key, value, lag(value) over (partition by topic, key order by partition, "offset") as before from (
      select topic, partition, "offset", key, convert_from(value, 'UTF8')::jsonb->'after' as value from forebay.journal) r) d where value = before`
  expect(row!.n).toBe(0)
})
