/** Quarantine as an operator meets it: a running Forebay, a folder that lacks something, its mended successor, and the command line. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { append } from '../../src/ingest/source/journal.ts'
import { until } from '../kafka/client.ts'
import { runCli } from '../platform/run-cli.ts'
import { makePlace } from '../support/forebay.ts'
import { freshDatabase } from '../support/postgres.ts'
import { later, start } from './fault-shop.ts'

const folder = (tiers: string): string => `
extend enum Role { CLERK }
extend schema @domain(name: "shop", owner: "shop-team")
enum Tier { ${tiers} }
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) { id: ID! name: String! tier: Tier }
type Contact @view(of: "Customer") @allow(roles: [CLERK]) { id: ID! name: String! tier: Tier }
`
const change = (id: string, lsn: number, row: object = {}) => ({
  key: Buffer.from(JSON.stringify({ id })),
  value: Buffer.from(
    JSON.stringify({ op: 'u', after: { id, name: 'Ann', tier: 'GOLD', ...row }, source: { lsn, ts_us: lsn } }),
  ),
})
const unsent = '__debezium_unavailable_value'

test('C19 what a folder can not read is listed, shown, DEGRADED, and applied in order once the folder that runs is mended; the rest is dropped', {
  timeout: 180_000,
}, async () => {
  const { url: DATABASE_URL, sql } = later(await freshDatabase(), (database) => database.drop())
  const place = later(await makePlace(folder('GOLD')), (made) => made.remove())
  const env = { ...place.env, DATABASE_URL }
  const quarantine = (...args: readonly string[]) => runCli(['quarantine', ...args], env)
  const put = (...records: readonly { key: Buffer | null; value: Buffer }[]) =>
    sql.begin((tx) => append(tx, 'customers', records))
  const first = await start({ ...place, env })
  const clerk = { roles: ['CLERK'] }
  const stateOf = async (running: typeof first, id: string) =>
    (await running.ask(`{ contact(id: "${id}") { name tier _freshness { state } } }`, clerk)).body.data?.contact
  await put(change('a', 1), change('b', 1))
  await until(async () => (await stateOf(first, 'a'))?._freshness.state === 'FRESH', 'a is fresh')

  await put(change('a', 2, { tier: 'SILVER' }), change('a', 3, { name: 'Bea', tier: unsent }))
  await put({ key: null, value: Buffer.from('no json') }, ...Array.from({ length: 12 }, (_, n) => change(`n${n}`, 1)))
  await until(async () => (await quarantine('list', '--json')).stdout.split('"id"').length === 4, 'three are listed')
  const { stdout: listed } = await quarantine('list')
  expect(listed).toMatch(
    / PARKED {2}customers-\d-\d {2}Customer {2}Customer\.tier holds a text that Tier does not declare/,
  )
  expect(listed).toMatch(/ WAITING {2}customers-\d-\d {2}Customer {2}waits behind a parked record of its key/)
  expect(listed).toMatch(/ PARKED {2}customers-\d-\d {2}Customer {2}is not valid JSON/)
  await until(async () => (await stateOf(first, 'a'))._freshness.state === 'DEGRADED', 'a is degraded')
  expect(await stateOf(first, 'a')).toMatchObject({ name: 'Ann', tier: 'GOLD' })

  await first.child.stop()
  await writeFile(join(place.env.FOREBAY_SCHEMA!, 'shop.graphql'), folder('GOLD SILVER'))
  const second = await start({ ...place, env })
  expect(await quarantine('redrive', '--topic', 'customers')).toMatchObject({
    code: 1,
    stdout: '2 applied, 1 still parked. See why: forebay quarantine list\n',
  })
  await until(async () => (await stateOf(second, 'a'))?.tier === 'SILVER', 'a is as its source has it')
  expect(await stateOf(second, 'a')).toMatchObject({ name: 'Bea' })

  const rows = async () => (await second.ask('{ contacts(first: 50) { edges { node { id } } } }', clerk)).body.data
  expect((await rows()).contacts.edges.length).toBeLessThan(14)
  const [, id = ''] = /^ *(\d+) /.exec((await quarantine('list')).stdout)!
  expect((await quarantine('show', id)).stdout).toMatch(/^keyTold +false$/m)
  expect(await quarantine('drop', id, '--reason', 'sent by a test')).toMatchObject({
    code: 0,
    stdout: '1 dropped, 1 partition goes on.\n',
  })
  await until(async () => (await rows()).contacts.edges.length === 14, 'what stood behind it is there')
  await until(async () => (await stateOf(second, 'a'))._freshness.state === 'FRESH', 'a is fresh again')
  expect((await quarantine('list')).stdout).toBe('Nothing is quarantined.\n')
  expect((await quarantine('list', '--state', 'REDRIVEN')).stdout.trim().split('\n')).toHaveLength(2)
})
