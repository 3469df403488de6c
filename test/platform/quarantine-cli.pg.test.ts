/** `forebay quarantine` as an operator runs it, beside a database that ingest keeps. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { customer, folder, openParking, type Parking, UNSENT } from '../law/parking.ts'
import { runCli } from './run-cli.ts'

let p: Parking
let schema: string
beforeEach(async () => {
  p = await openParking()
  schema = await mkdtemp(join(tmpdir(), 'forebay-quarantine-'))
})
afterEach(async () => {
  await p.database.drop()
  await rm(schema, { recursive: true, force: true })
})
const declare = (text: string) => writeFile(join(schema, 'shop.graphql'), text)
const cli = (...args: readonly string[]) =>
  runCli(['quarantine', ...args], { DATABASE_URL: p.database.url, FOREBAY_SCHEMA: schema })

test('C19 redrive fails while nothing is mended, and applies what waited once the folder is', {
  timeout: 60_000,
}, async () => {
  await p.apply([customer('a', { tier: 'SILVER' }), customer('a', { name: 'Bea', tier: UNSENT }), customer('b')])
  await declare(folder('BASIC GOLD'))
  expect(await cli('redrive', '--all')).toEqual({
    code: 1,
    stdout: '1 still parked, 1 still waiting. See why: forebay quarantine list\n',
    stderr: '',
  })
  expect((await cli('list', '--state', 'WAITING')).stdout).toMatch(
    /WAITING {2}customers-0-1 {2}Customer {2}waits behind/,
  )
  await declare(folder('BASIC GOLD SILVER'))
  const { code, stdout } = await cli('redrive', '--entity', 'Customer', '--json')
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { redriven: 2, parked: 0, waiting: 0 }])
  const [row] = await p.database.sql`select name, tier from shop.customer where id = 'a'`
  expect(row).toEqual({ name: 'Bea', tier: 'SILVER' })
  expect(await cli('redrive', '--all')).toEqual({ code: 0, stdout: 'Nothing of that is held.\n', stderr: '' })
  const slip = await cli('redrive', '--entity', 'Custommer')
  expect([slip.code, slip.stderr]).toEqual([2, expect.stringContaining('--entity Custommer: there are Customer, ')])
})

test('C8 a redrive by a folder whose views are not those that are kept up is refused', {
  timeout: 60_000,
}, async () => {
  await p.apply([customer('a', { tier: 'SILVER' })])
  await declare(folder('BASIC GOLD SILVER').replace('spent: Long! @sum(of: "orders.total")', ''))
  const { code, stderr } = await cli('redrive', '--all')
  expect([code, stderr]).toEqual([1, expect.stringContaining('start ingest with this folder first')])
  expect(await p.states()).toEqual(['0 PARKED'])
})

test('C19 drop says what it did and keeps who did it', { timeout: 60_000 }, async () => {
  await p.apply([customer('a'), customer('a', { tier: 'SILVER' }), customer('a', { name: 'Bea', tier: UNSENT })])
  await declare(folder('BASIC GOLD'))
  expect(await cli('drop', '1', '999', '--reason', 'a slip')).toEqual({
    code: 1,
    stdout: '',
    stderr: 'No record 999 is quarantined; see: forebay quarantine list --state ALL\n',
  })
  const [row] = await p.database.sql<{ id: string }[]>`select id from forebay.quarantine where state = 'PARKED'`
  expect(await cli('drop', row!.id, '--reason', 'sent by a test')).toEqual({
    code: 0,
    stdout: '1 applied, 1 dropped.\n',
    stderr: '',
  })
  const audit = await p.database.sql`select actor, action, subject, reason from forebay.audit`
  const subject = `record ${row!.id} at customers-0-1, Customer`
  expect(audit).toEqual([{ actor: userInfo().username, action: 'quarantine drop', subject, reason: 'sent by a test' }])
})
