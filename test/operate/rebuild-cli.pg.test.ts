/** `forebay rebuild` and `forebay check --cost` as people and scripts use them, beside an ingest process at work. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { customers, openShop, type Shop, shop, withRegion } from '../ingest/replaying.ts'
import { until } from '../kafka/client.ts'
import { runForebay, type Said } from '../support/forebay.ts'

let s: Shop
let folder: string
let ingest: { stop(): Promise<void> }

beforeAll(async () => {
  s = await openShop()
  folder = await mkdtemp(join(tmpdir(), 'forebay-rebuild-'))
  await writeFile(join(folder, 'shop.graphql'), withRegion)
  ingest = await s.start(await s.install(withRegion))
  await s.put(...customers(0, 1_500))
  await s.caughtUp()
})
afterAll(async () => {
  await s?.close()
  await rm(folder, { recursive: true, force: true })
})

const forebay = (...args: string[]): Promise<Said> =>
  runForebay({ ...process.env, DATABASE_URL: s.url, FOREBAY_SCHEMA: folder, FOREBAY_DATA: folder }, ...args)
const serving = async (): Promise<number> =>
  (await s.sql<{ generation: number }[]>`select generation from forebay.pointers`)[0]!.generation

test('a view is built anew beside the one that serves, waited for, and shown', async () => {
  const before = await serving()
  const { code, out, err } = await forebay('rebuild', 'CustomerCard', '--wait')
  expect(err).toBe('')
  expect(code).toBe(0)
  expect(out).toMatch(/^CustomerCard \d+ {2}serves since /m)
  const after = await serving()
  expect(after).toBeGreaterThan(before)
  const list = await forebay('rebuild')
  expect(list.out).toMatch(new RegExp(`^CustomerCard {2,}${after} {2}ACTIVE {4}serves since \\S+Z$`, 'm'))
  expect(list.out).toMatch(
    new RegExp(
      `^CustomerCard {2,}${before} {2}STANDBY {3}stands by since \\S+Z: forebay rebuild --rollback CustomerCard`,
      'm',
    ),
  )
})

test('going back is one command, and so is returning', async () => {
  const before = await serving()
  const { code, out } = await forebay('rebuild', '--rollback', 'CustomerCard', '--json')
  expect(code).toBe(0)
  const { from, to } = JSON.parse(out)
  expect(from).toBe(before)
  expect(await serving()).toBe(to)
  expect((await forebay('rebuild', '--rollback', 'CustomerCard')).out).toBe(
    `CustomerCard is served by generation ${from} again. Generation ${to} stands by: the same command returns to it while it is kept.\n`,
  )
  expect(await serving()).toBe(before)
})

test('as JSON: progress and seconds left of each', async () => {
  const { out, code } = await forebay('rebuild', 'CustomerCard', '--json')
  expect(code).toBe(0)
  const { generation } = JSON.parse(out)
  const progress = async () => {
    const { generations } = JSON.parse((await forebay('rebuild', '--json')).out)
    return generations.find((one: { generation: number }) => one.generation === generation)
  }
  await until(async () => (await progress()).state === 'ACTIVE', 'it serves')
  expect(await progress()).toMatchObject({
    view: 'CustomerCard',
    filled: true,
    done: 1_500,
    total: 1_500,
    secondsLeft: null,
  })
})

test('what can’t be meant is refused, with what there is', async () => {
  const unknown = await forebay('rebuild', 'Nothing')
  expect([unknown.code, unknown.err]).toEqual([
    2,
    'rebuild Nothing: there are CustomerCard\nforebay --help lists the verbs; forebay <verb> --help its options.\n',
  ])
  expect((await forebay('rebuild', 'A', 'B')).code).toBe(2)
  expect((await forebay('rebuild', 'A', '--rollback', 'B')).code).toBe(2)
  expect((await forebay('rebuild', '--help')).out).toContain('--rollback VIEW')
})

test('check --cost says what a folder costs before it is deployed, and what breaks for clients', async () => {
  const cost = async (text: string) => {
    await writeFile(join(folder, 'shop.graphql'), text)
    return forebay('check', '--cost')
  }
  expect((await cost(withRegion)).out).toBe('CustomerCard  nothing\n')
  const { code, out } = await cost(`${shop('region: String').replace('name: String!  }', 'name: String }')}
    type CustomerName @view(of: "Customer") @allow(roles: [READER]) { id: ID! name: String! }`)
  expect(code).toBe(0)
  expect(out.split('\n')).toEqual([
    expect.stringMatching(/^CustomerCard {2}rebuild of 1,500 keys, .+; what serves goes on meanwhile$/),
    '              breaking for clients: CustomerCard.name may be null now',
    '              breaking for clients: CustomerCard.region is gone',
    expect.stringMatching(/^CustomerName {2}new: 1,500 keys, /),
    '',
  ])
  const gone = await forebay('check', '--cost', '--json')
  expect(JSON.parse(gone.out).views[0]).toMatchObject({ view: 'CustomerCard', kind: 'rebuild', keys: 1_500 })
})

test('a folder that is changed is built beside the old one by the process that starts with it', async () => {
  const before = await serving()
  await ingest.stop()
  await s.start(await s.install(shop('region: String', 'region: String @filter where: String @from(path: "region")')))
  await s.caughtUp()
  expect(await serving()).toBeGreaterThan(before)
  expect((await forebay('rebuild', '--rollback', 'CustomerCard')).code).toBe(0)
  expect(await serving()).toBe(before)
})
