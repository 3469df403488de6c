/**
 * The facts by the real chain: a source with tables that no textbook has, what was ever seen to go wrong done to them, Debezium, Kafka, ingest.
 * Each entity's table ends equal to the source's own SQL, and what is refused is what was meant to be.
 */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectorConfig } from '../../docker/connectors.ts'
import { startIngest } from '../../src/ingest/main.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { readConfig } from '../../src/platform/config.ts'
import { connect, type Sql } from '../../src/platform/postgres.ts'
import { loadModel } from '../law/model.ts'
import { startConnect } from '../support/connect.ts'
import { startKafka } from '../support/kafka.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { startSourcePostgres } from '../support/source-postgres.ts'

const text = (name: string) => readFile(new URL(`live/${name}`, import.meta.url), 'utf8')
let source: Sql
let database: Database
const ends: (() => Promise<unknown>)[] = []
const later = <T>(made: T, end: (made: T) => Promise<unknown>): T => {
  ends.push(() => end(made))
  return made
}

beforeAll(async () => {
  const [kafka, postgres] = await Promise.all([startKafka({ partitions: 4 }), startSourcePostgres()])
  later(kafka, (made) => made.stop())
  later(postgres, (made) => made.stop())
  // One connection: statements are sent one after the other, in one session.
  source = later(connect(postgres.url, { max: 1, name: 'odd source' }), (made) => made.end({ timeout: 1 }))
  await source.unsafe(await text('schema.sql'))
  database = later(await freshDatabase(), (made) => made.drop())
  const model = await loadModel(await text('declaration.graphql'))
  await installModel(database.sql, model)
  const worker = later(await startConnect({ brokers: kafka.brokers }), (made) => made.kill9())
  await worker.createConnector('live', {
    ...connectorConfig('live', 'public\\..*,sales\\..*,Mixed Case\\..*', new URL(postgres.url)),
    'publish.via.partition.root': 'true',
    'signal.data.collection': 'public.dbz_signal',
    'incremental.snapshot.chunk.size': '50',
  })
  const config = { ...readConfig({ KAFKA_BROKERS: kafka.brokers.join(',') }), databaseUrl: database.url }
  const sql = later(connect(database.url, { max: 8, name: 'odd ingest' }), (made) => made.end({ timeout: 1 }))
  const failed = (error: Error) => console.error(error)
  later(await startIngest({ config, model, sql, failed }), (made) => made.stop())
}, 180_000)
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

/** By the entity's table: a query of the source, and, where names or types differ, one of here. */
const queries: Readonly<Record<string, readonly [at: string, here?: string]>> = {
  order_item: [
    'select "Order Id" as order_id, "lineNo" as line_no, "Qty" as qty, "select" from "Mixed Case"."Order Items" order by 1, 2',
    'select order_id, line_no, qty, "select" from odd.order_item where not _deleted order by 1, 2',
  ],
  typed: [
    `select id, si, bi::text, trim_scale(num)::text as num, num2::text, mon::numeric::text as mon, r::float8::numeric(9,3)::text as r, d, b, t, rpad(ch, 5) as ch, ci::text,
      encode(by, 'base64') as by, u::text, js::jsonb::text as js, jb::text, da::text, ts::text, tstz, host(ip) || '/' || masklen(ip) as ip, mo::text, ia, tsa,
      hstore_to_json(hs)::jsonb::text as hs, lt::text, tsr::text, bt1 = '1' as bt1, pt[0] as x
      from types_t where id not in (2, 3, 12) order by id`,
    `select id, si, bi::text, trim_scale(num)::text as num, num2::text, mon::text, r::numeric(9,3)::text as r, d, b, t, ch, ci, by, u, js::text, jb::text, da::text,
      (ts at time zone 'UTC')::text as ts, tstz, ip, mo, ia, tsa, hs::text, lt, tsr, bt1, x from odd.typed where not _deleted order by id`,
  ],
  toast: [
    `select id, v, big, bigj::text, replace(encode(bigb, 'base64'), E'\\n', '') as bigb, biga from toast_t order by id`,
    'select id, v, big, bigj::text, bigb, biga from odd.toast where not _deleted order by id',
  ],
  toast_full: ['select id, v, big from toast_full order by id'],
  unique_row: ['select k, v from uniqidx order by k'],
  nullable: ['select a, b from nullpk_uniq where a is not null order by a'],
  key_change: ['select id, v from keychg order by id'],
  parted: ['select id, region, v from parted order by id, region'],
  evolve: ['select id, a_renamed, c from evolve order by id'],
  truncated: ['select id, v from trunc_t order by id'],
  truncated_child: ['select id, tid from trunc_child order by id'],
  big_row: ['select id, grp, v from big_tx order by id'],
  generated: ['select id, a from gen_t order by id'],
  customer: ['select id::text, name, created from sales.customers order by id::text'],
  parent: ['select id from casc_p order by id'],
  child: ['select id, pid from casc_c order by id'],
  snaprow: ['select id, v from snaprows order by id'],
}
const hereOf = (table: string, at: string): string =>
  at
    .replace(/::text(, |$)/, '$1')
    .replace(/ from .* order by (.*)$/, ` from odd.${table} where not _deleted order by $1`)
    .replace('id::text', 'id')

/** Each table but those of `except`, once it is as the source has it; fails with the rows that differ. */
const untilEqual = async (except: readonly string[] = []): Promise<void> => {
  for (const [table, [at, here]] of Object.entries(queries)) {
    if (except.includes(table)) continue
    const wanted = [...(await source.unsafe(at))]
    const query = here ?? hereOf(table, at)
    await expect
      .poll(async () => [...(await database.sql.unsafe(query))], { timeout: 60_000, interval: 200, message: table })
      .toEqual(wanted)
  }
}
const parked = async (entity: string) =>
  (
    await database.sql<{ key: string }[]>`
      select distinct entity_key as key from forebay.quarantine where entity = ${entity} and state = 'PARKED' order by 1`
  ).map(({ key }) => key)

test('facts live: whatever is done to odd tables, each ends as the source has it', {
  timeout: 300_000,
}, async () => {
  await untilEqual(['typed', 'evolve'])
  // Read by the snapshot: NaN and infinities, a year BC, a year that another calendar shifts.
  await expect.poll(() => parked('Typed'), { timeout: 30_000 }).toEqual(['[2]', '[3]', '[4]'])

  for (const statement of (await text('cases.sql')).split('\n').filter(Boolean)) await source.unsafe(statement)
  await expect(source`update nopk_default set b = 'no identity'`, 'fact 20').rejects.toMatchObject({ code: '55000' })
  await source`insert into nopk_default values (2, 'the source goes on')`

  // fact 18: what no stream has sent. fact 26: written once more, the row comes by the stream.
  await untilEqual(['typed', 'evolve'])
  await source`update types_t set si = 4 where id = 4`
  const data = { 'data-collections': ['public.evolve', 'public.gen_t', 'public.snaprows'], type: 'incremental' }
  await source`insert into dbz_signal values (${randomUUID()}, 'execute-snapshot', ${JSON.stringify(data)})`
  for (let i = 1; i <= 20; i++) {
    await source`update snaprows set v = ${`changed ${i}`} where id % 20 = ${i}`
    await source`delete from snaprows where id = ${i * 10}`
  }
  await untilEqual()
  // Neither the stream nor an incremental read has a generated column: only the first snapshot had it.
  expect([...(await database.sql`select id, twice from odd.generated order by id`)], 'fact 15').toEqual([
    { id: 1, twice: 2 },
    { id: 2, twice: null },
    { id: 3, twice: null },
  ])
  expect(await parked('Typed')).toEqual(['[12]', '[2]', '[3]'])
  expect(await parked('Nullable'), 'fact 14').toEqual(['[null]'])
  const stopped = await database.sql<{ topic: string; reason: string }[]>`
    select distinct topic, reason from forebay.positions where reason is not null`
  expect([...stopped], 'fact 3').toEqual([
    { topic: 'live.public.nopk_full', reason: expect.stringContaining('records of live.public.nopk_full have no key') },
  ])
})
