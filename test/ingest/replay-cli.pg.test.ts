/** `forebay replay` as people and scripts use it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../kafka/client.ts'
import { runForebay, type Said } from '../support/forebay.ts'
import { customers, openShop, type Shop, withRegion } from './replaying.ts'

const cli = join(import.meta.dirname, '../../src/cli.ts')
let s: Shop
let folder: string
let environment: NodeJS.ProcessEnv
let ingest: { stop(): Promise<void> } | undefined
const startIngest = async () => {
  ingest = await s.start(await s.install(withRegion))
}

beforeAll(async () => {
  s = await openShop()
  folder = await mkdtemp(join(tmpdir(), 'forebay-replay-'))
  await writeFile(join(folder, 'shop.graphql'), withRegion)
  environment = { ...process.env, DATABASE_URL: s.url, FOREBAY_SCHEMA: folder, FOREBAY_DATA: folder }
  await startIngest()
  await s.put(...customers(0, 40))
  await s.caughtUp()
})
afterAll(async () => {
  await s?.close()
  await rm(folder, { recursive: true, force: true })
})

const forebay = (...args: string[]): Promise<Said> => runForebay(environment, 'replay', ...args)
const customer = ['--entity', 'Customer'] as const

test('follows what it asked for to its end', async () => {
  await s.sql`update shop.customer set region = null`
  const { code, out } = await forebay(...customer, '--from', 'earliest')
  expect(out).toMatch(/^Replay \d+ of Customer \(customers\) from earliest\.\n/)
  expect(out).toMatch(/done: 40 offsets, rows: 0 added, 40 refreshed\n$/)
  expect(code).toBe(0)
})

test('as JSON, one object a line, with seconds left', async () => {
  const { code, out } = await forebay(...customer, '--from', 'PT1H', '--json')
  const lines = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(lines.at(-1)).toMatchObject({ state: 'DONE', done: 40, total: 40, refreshed: 0, secondsLeft: null })
  expect(code).toBe(0)
})

test('a position is that of one partition, and what can’t be replayed fails with the reason', async () => {
  const done = await forebay(...customer, '--from', 'customers-0-0', '--json')
  expect(JSON.parse(done.out.trim().split('\n').at(-1)!)).toMatchObject({ partitions: [{ partition: 0 }] })
  const failed = await forebay(...customer, '--from', 'customers-0-5000')
  expect(failed.err).toMatch(/Replay \d+ of Customer failed: customers-0 is applied up to \d+, before 5000/)
  expect(failed.code).toBe(1)
})

test.each([
  [[], 'write one of'],
  [['--entity', 'Nobody', '--from', 'earliest'], '--entity Nobody: there are Customer'],
  [['--entity', 'Customer', '--from', 'yesterday'], "--from yesterday can't be read: write earliest, a position"],
  [['--entity', 'Customer', '--from', '2026-02-31T25:00:00Z'], 'is no moment'],
  [['--entity', 'Customer', '--from', 'orders-0-1'], "the entity's topic is customers"],
  [['--entity', 'Customer', '--from', 'customers-0-1', '--from', 'customers-0-2'], 'names a partition twice'],
  [['--entity', 'Customer', '--snapshot', '--from', 'earliest'], 'write one'],
  [['--entity', 'Customer', '--list'], 'write one of'],
  [['--entity', 'Customer'], 'write --from WHERE'],
  [['--entity', 'Customer', '--from', '2999-01-01T00:00:00Z'], 'is yet to come'],
  [['--status', 'one'], 'write a whole number'],
])('wrong use %#: %s', async (args, reason) => {
  const { code, err } = await forebay(...args)
  expect(err).toContain(reason)
  expect(code).toBe(2)
})

test('goes on after Ctrl-C and without an ingest process, is listed, shown and cancelled', async () => {
  await ingest!.stop()
  const child = spawn(process.execPath, [cli, 'replay', ...customer, '--from', 'earliest'], { env: environment })
  let said = ''
  child.stdout.on('data', (text) => {
    said += text
  })
  await until(() => said.includes('waiting for an ingest process'), 'it waits')
  child.kill('SIGINT')
  expect(await once(child, 'exit')).toEqual([0, null])
  const [, id] = /^Replay (\d+)/.exec(said)!
  expect(said).toContain(
    `It goes on. See it with: forebay replay --status ${id}; end it with: forebay replay --cancel ${id}`,
  )

  expect((await forebay('--list')).out).toMatch(
    new RegExp(`^ +${id} .*Customer from earliest +waiting for an ingest process`, 'm'),
  )
  expect((await forebay('--status', id!)).out).toMatch(/asked for by .+: RUNNING/)
  expect((await forebay('--cancel', id!)).out).toContain('CANCELLED')
  expect(await forebay('--cancel', id!)).toMatchObject({
    code: 1,
    err: expect.stringContaining('is not running: it is CANCELLED'),
  })
  expect(await forebay('--status', '4711')).toMatchObject({
    code: 1,
    err: expect.stringContaining('There is no replay 4711'),
  })

  const detached = await forebay(...customer, '--from', 'earliest', '--detach')
  const [, later] = /^Replay (\d+) of Customer from earliest\. See it with/.exec(detached.out)!
  await startIngest()
  expect(await s.ended(Number(later))).toMatchObject({ state: 'DONE' })
})
