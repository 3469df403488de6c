/** Tables that are read anew while they are followed: for what the source doesn't send by itself. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readAgain } from '../../src/ingest/feed/again.ts'
import { journalExtents } from '../../src/ingest/source/journal.ts'
import { readRenewal } from '../../src/operate/replay/renewal.ts'
import { until } from '../kafka/client.ts'
import { loadModel } from '../law/model.ts'
import { type SourcePostgres, startSourcePostgres } from '../support/source-postgres.ts'
import { declare, dropSlots, engine, expectNoDuplicates, later, sourceOn, startHere, untilEqual } from './world.ts'

let server: SourcePostgres
beforeAll(async () => {
  server = await startSourcePostgres()
}, 60_000)
afterAll(() => server?.stop())

test.each([
  ['slot', ''],
  ['poll', ', watermark: "seen_at", every: "PT0.1S", sweep: "PT0S"'],
])(
  'fact 18 by a %s: a column added with a default comes with a re-snapshot, while rows change',
  async (how, more) => {
    const source = later(await sourceOn(server.url), dropSlots)
    const connection = `a${randomBytes(4).toString('hex')}`
    const text = declare(more, connection).replace('label: String\n', 'label: String\n  grade: String\n')
    const own = await engine(text, { [connection]: source.url })
    await source.sql`insert into items (id, n) select i, i from generate_series(1, 3000) i`
    await source.sql`insert into lines (item_id, no, amount) values (1, 1, 1)`
    await startHere(own)
    await untilEqual(source, own)
    await source.sql`alter table items add column grade text default 'A'`
    await source.sql`insert into items (id, n, grade) values (5000, 1, 'B')`
    await untilEqual(source, own)
    const grades = () =>
      own.sql`select grade, count(*)::int as n from shop.item where not _deleted group by 1 order by 1`
    const [stale] = await own.sql<{ n: number }[]>`select count(*)::int as n from shop.item where grade is null`
    expect(stale!.n).toBeGreaterThanOrEqual(3_000)

    const topic = `${connection}.public.items`
    const marks = await journalExtents(own.sql, [topic])
    expect(await readAgain(own.sql, { topic, connection, polled: how === 'poll' })).toBe(true)
    const entity = (await loadModel(text)).entities.get('Item')!
    // What changes meanwhile is later than what is read anew, wherever it comes.
    for (let i = 1; i <= 40; i++)
      await source.sql`update items set grade = 'C', n = n + 1, seen_at = clock_timestamp() where id = ${i * 70}`
    await until(async () => {
      const { left, applied } = await readRenewal(own.sql, entity, marks)
      return left === 0 && applied
    }, 'every row is renewed')
    await untilEqual(source, own)
    const wanted = await source.sql`select grade, count(*)::int as n from items group by 1 order by 1`
    await expect.poll(async () => Array.from(await grades())).toEqual(Array.from(wanted))
    await until(
      async () =>
        (await own.sql`select from forebay.cursors where feed in (${topic}, ${connection}) and cursor ? 'again'`)
          .length === 0,
      'the wish is done with',
    )
    if (how === 'slot') await expectNoDuplicates(own)
  },
  60_000,
)

test('a feed that has not begun has nothing to read anew', async () => {
  const own = await engine(declare(), {})
  expect(await readAgain(own.sql, { topic: 'src.public.items', connection: 'src', polled: false })).toBe(false)
  expect(await readAgain(own.sql, { topic: 'src.public.items', connection: 'src', polled: true })).toBe(false)
})
