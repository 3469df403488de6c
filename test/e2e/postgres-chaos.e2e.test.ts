/** Postgres as networks, disks and operators treat it, under ingest at work. Ends equal to the oracle; nothing is applied twice. */
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { type EmbeddedPostgres, startPostgres } from '../../src/platform/embedded-postgres.ts'
import type { Sql } from '../../src/platform/postgres.ts'
import { hold, untilBlocked } from '../law/stage.ts'
import { freePorts } from '../support/child.ts'
import { type Running, startForebay } from '../support/forebay.ts'
import { canMount, mountSmall } from '../support/small-disk.ts'
import { BUILD_MS, buildToxiproxy, startToxiproxy, type Toxic } from '../support/toxiproxy.ts'
import { appendAll, type Chaos, expectEnd, left, makeChaos } from './chaos.ts'
import { breakerOf, connected, later, ready } from './fault-shop.ts'

beforeAll(buildToxiproxy, BUILD_MS)

/** FOREBAY_CHAOS_ROUNDS: how often each fault of the network comes. */
const rounds = Number(process.env.FOREBAY_CHAOS_ROUNDS ?? 1)
const faultMs = 800

type Server = { readonly url: string; readonly port: number; now: EmbeddedPostgres; restart(): Promise<void> }
const serve = async (dataDir: string, settings: Readonly<Record<string, string>> = {}): Promise<Server> => {
  const [port] = (await freePorts(1)) as [number]
  const options = { dataDir, port, settings: { shared_buffers: '32MB', ...settings } }
  const first = await startPostgres(options)
  const server: Server = {
    url: first.url,
    port,
    now: first,
    async restart() {
      await server.now.exited
      server.now = await startPostgres(options)
    },
  }
  return later(server, ({ now }) => now.stop())
}
const follow = async ({ place }: Chaos, url: string): Promise<Running> =>
  later(await startForebay({ ...place, env: { ...place.env, DATABASE_URL: url } }, 'ingest'), ({ child }) =>
    child.stop(),
  )
const through = (url: string, port: number): string => Object.assign(new URL(url), { port: String(port) }).href

/** What was in the log a moment ago gets applied. */
const goesOn = async (sql: Sql, after: string): Promise<void> => {
  const at = async (column: string) => {
    const [row] = await sql`select coalesce(sum(next_offset), 0)::int as n from ${sql(`forebay.${column}`)}`
    return row!.n as number
  }
  const end = await at('journal_ends')
  await expect
    .poll(() => at('positions'), { timeout: 30_000, interval: 100, message: `goes on after ${after}` })
    .toBeGreaterThanOrEqual(end)
}

const toxics: readonly (readonly [what: string, toxic: Toxic])[] = [
  ['latency', { type: 'latency', attributes: { latency: 150, jitter: 100 } }],
  ['connections reset', { type: 'reset_peer', attributes: { timeout: 200 } }],
  ['nothing getting through, then closed', { type: 'timeout', attributes: { timeout: 400 } }],
  ['closed amid a message', { type: 'limit_data', attributes: { bytes: 20_000 } }],
  ['bytes in pieces', { type: 'slicer', attributes: { average_size: 40, size_variation: 30, delay: 20 } }],
]

test('a network that is slow, resets, swallows and cuts, and a Postgres killed and restarted, lose nothing and double nothing', async () => {
  const chaos = await makeChaos(5_000 * rounds)
  const server = await serve(`${chaos.place.dataDir}-own`)
  const proxy = later(await startToxiproxy(server.port), (made) => made.stop())
  const sql = connected(server.url)
  await chaos.install(sql)
  const running = await follow(chaos, through(server.url, proxy.port))
  const pace = { ms: 150 }
  const growing = appendAll(sql, chaos.records, pace)

  for (let round = 0; round < rounds; round++) {
    for (const [what, toxic] of toxics)
      for (const stream of ['upstream', 'downstream'] as const) {
        const end = await proxy.add(toxic, stream)
        await sleep(faultMs)
        await end()
        await goesOn(sql, `${what}, ${stream}`)
        expect(running.child.alive(), what).toBe(true)
      }
    // A batch is under way when every connection is cut.
    const held = await hold(server.url, 'select from forebay.positions order by topic, partition for update')
    await untilBlocked(sql, 1)
    const restore = await proxy.cut()
    await expect.poll(() => breakerOf(running, 'postgres'), { timeout: 20_000, interval: 20 }).toMatch(/[12]/)
    expect((await running.readyz()).status).toBe(503)
    await held.release()
    await restore()
    await goesOn(sql, 'a cut')
    await expect.poll(() => breakerOf(running, 'postgres')).toBe('0')
  }
  process.kill(server.now.pid, 'SIGKILL')
  await server.restart()
  await goesOn(sql, 'kill -9')
  await server.now.stop()
  await sleep(1_000)
  await server.restart()
  pace.ms = 0
  await growing
  await expectEnd(sql, chaos)
  expect(running.child.alive(), running.child.output()).toBe(true)
}, 300_000)

describe.skipIf(!(await canMount()))('a full disk under Postgres', () => {
  test('stops ingest, which goes on once there is space, with nothing lost or doubled', async () => {
    const disk = later(await mountSmall(220), (made) => made.unmount())
    const chaos = await makeChaos(8_000)
    // Every write of a row is a whole page in the log of writes, so that a full disk is soon felt.
    const server = await serve(`${disk.folder}/data`, { max_wal_size: '48MB', min_wal_size: '32MB' })
    const sql = connected(server.url)
    await chaos.install(sql)
    const running = await follow(chaos, server.url)
    await ready(running)
    await expect.poll(() => sql`select from forebay.positions`, { timeout: 20_000 }).not.toHaveLength(0)
    const held = await hold(server.url, 'select from forebay.positions order by topic, partition for update')
    await appendAll(sql, chaos.records, { ms: 0 }, 500)
    await disk.fill()
    await held.release()
    const ended = server.now.exited.then(() => true)
    const felt = async () => running.child.output().includes('apply.failed') || (await Promise.race([ended, sleep(50)]))
    await expect.poll(felt, { timeout: 30_000 }).toBe(true)
    await sleep(1_000)
    expect(running.child.alive(), running.child.output()).toBe(true)
    await disk.free()
    if (await Promise.race([ended, sleep(500)])) await server.restart()
    await expectEnd(sql, chaos)
    expect((await left(sql)).records).toBe(0)
    expect(running.child.alive(), running.child.output()).toBe(true)
  }, 180_000)
})
