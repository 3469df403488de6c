/** Tables followed by a replication slot, through whatever befalls it. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../kafka/client.ts'
import { type SourcePostgres, startSourcePostgres } from '../support/source-postgres.ts'
import {
  declare,
  type Engine,
  engine,
  expectNoDuplicates,
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

const follow = async (): Promise<{ source: Source; own: Engine }> => {
  const source = await sourceOn(server.url)
  return { source, own: await engine(declare(), { src: source.url }) }
}
/** Slots are the server's: a test leaves none behind. */
const dropSlot = (source: Source) =>
  until(async () => {
    const dropped = await source.sql`
      select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database() and not active`
    return dropped.length > 0
  }, 'the slot is dropped')

test('a snapshot, then every change: creates, updates, deletes, changed keys, large values left alone, truncate', {
  timeout: 60_000,
}, async () => {
  const { source, own } = await follow()
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
  await untilEqual(source, own)
  await expectNoDuplicates(own)
  await ingest.end()
  await dropSlot(source)
})
