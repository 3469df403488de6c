/** Back-pressure: a feed brings no more than the journal has room for, and its source keeps the rest. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { usualJournal } from '../../src/platform/journal-settings.ts'
import { log } from '../../src/platform/log.ts'
import { metricsText } from '../../src/platform/metrics.ts'
import { until } from '../kafka/client.ts'
import { type SourcePostgres, startSourcePostgres } from '../support/source-postgres.ts'
import { declare, dropSlots, engine, expectNoDuplicates, later, sourceOn, startHere, untilEqual } from './world.ts'

let server: SourcePostgres
beforeAll(async () => {
  server = await startSourcePostgres()
}, 60_000)
afterAll(() => server?.stop())

const room = { records: 500, bytes: 1024 ** 3 }
const rows = 12_000
const metric = async (name: string): Promise<number> =>
  Number(new RegExp(`^${name} (.*)$`, 'm').exec((await metricsText()).text)?.[1])

test.each([
  ['slot', ''],
  ['poll', ', watermark: "seen_at", every: "PT0.05S", overlap: "PT2S", sweep: "PT0S"'],
])('a %s feed waits while its topic is not applied, and goes on by itself', { timeout: 90_000 }, async (how, more) => {
  const source = later(await sourceOn(server.url), dropSlots)
  const connection = `h${randomBytes(4).toString('hex')}`
  const own = await engine(declare(more, connection), { [connection]: source.url })
  const alerts = vi.spyOn(log, 'error')
  const ingest = await startHere(own, { journal: { ...usualJournal, room, slotRetained: 512 * 1024 } })
  await source.sql`insert into items (id, n) values (1, 1)`
  await untilEqual(source, own)

  await own.sql`update forebay.positions set state = 'PAUSED', paused_by = 'RECORD', reason = 'a test' where topic like '%items'`
  for (let from = 2; from < rows; from += 500)
    await source.sql`insert into items (id, n, label) select i, i, repeat('x', 100) from generate_series(${from}::int, ${from + 499}::int) i`
  const feed = how === 'slot' ? connection : `${connection}.public.items`
  const waiting = async () => {
    const [row] = await own.sql<{ n: number }[]>`
      select sum(e.next_offset - p.next_offset)::int as n from forebay.journal_ends e join forebay.positions p using (topic, partition)`
    return row!.n
  }
  const isHeld = async () => (await metric(`forebay_feed_held{feed="${feed}"}`)) === 1
  const standsStill = async () => {
    const before = await waiting()
    await own.sql`select pg_sleep(1)`
    return (await isHeld()) && (await waiting()) === before
  }
  await until(standsStill, 'held')
  expect(await waiting()).toBeGreaterThanOrEqual(room.records)
  // What it is over is asked for now and then, not at every append.
  expect(await waiting()).toBeLessThan(rows / 2)
  if (how === 'slot') {
    await until(() => alerts.mock.calls.some(([event]) => event === 'slot.retains'), 'the alert')
    expect(await metric(`forebay_slot_retained_bytes{feed="${feed}"}`)).toBeGreaterThan(512 * 1024)
  }

  await own.sql`update forebay.positions set state = 'RUNNING', paused_by = null, reason = null where topic like '%items'`
  await untilEqual(source, own)
  expect(await isHeld()).toBe(false)
  await expectNoDuplicates(own)
  await ingest.end()
  alerts.mockRestore()
})
