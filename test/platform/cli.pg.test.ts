import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Model } from '../../src/model/model.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import { runCli } from './run-cli.ts'

const nothing: Model = {
  roles: [],
  domains: new Map(),
  enums: new Map(),
  entities: new Map(),
  parts: new Map(),
  views: new Map(),
  policies: new Map(),
}
let database: Database
beforeAll(async () => {
  database = await freshDatabase()
  const { sql } = database
  await installModel(sql, nothing)
  await sql`insert into forebay.positions (topic, partition, epoch, next_offset, frontier, state, reason) values
    ('orders', 0, 0, 10, now(), 'RUNNING', null), ('orders', 1, 2, 20, now(), 'STUCK', 'restored'), ('else', 0, 0, 5, now(), 'RUNNING', null)`
  await sql`insert into forebay.quarantine (topic, partition, "offset", entity, reason, key, value, headers) values
    ('orders', 0, 7, 'Order', 'total: not a number', ${Buffer.from('{"id":1}')}, ${Buffer.from('{"email":"ann@example.com"}')}, '{"trace":"x"}'),
    ('orders', 1, 8, null, 'not JSON', null, ${Buffer.from([0xff, 0xfe])}, null)`
})
afterAll(() => database.drop())
const cli = (args: string) => runCli(args.split(' '), { DATABASE_URL: database.url })
const data = async (args: string) => {
  const { code, stdout, stderr } = await cli(`${args} --json`)
  expect([code, stderr]).toEqual([0, ''])
  return JSON.parse(stdout)
}

test('quarantine list names place and reason, newest first, and no content', async () => {
  const { stdout } = await cli('quarantine list')
  expect(stdout).toMatch(/orders-1-8 .*not JSON\n.*orders-0-7 {2}Order {2}total: not a number\n$/)
  const { records } = await data('quarantine list --entity Order')
  expect(records).toEqual([
    expect.objectContaining({
      position: 'orders-0-7',
      entity: 'Order',
      state: 'PARKED',
      quarantinedAt: expect.stringMatching(/Z$/),
    }),
  ])
  expect((await data('quarantine list --topic nothing')).records).toEqual([])
  expect(await data('quarantine list --limit 1')).toMatchObject({ records: [{}], more: true })
  expect((await cli('quarantine list --limit 1')).stdout).toMatch(/^.*\nThere are older ones: --limit 10\n$/)
})

test('quarantine show gives sizes, and contents only when asked for', async () => {
  const [newest, oldest] = (await data('quarantine list')).records as { id: string }[]
  expect(JSON.stringify(await data(`quarantine show ${oldest?.id}`))).not.toContain('example.com')
  expect(await data(`quarantine show ${oldest?.id}`)).toMatchObject({ keyBytes: 8, valueBytes: 27, headers: ['trace'] })
  expect(await data(`quarantine show ${oldest?.id} --values`)).toMatchObject({
    key: '{"id":1}',
    value: '{"email":"ann@example.com"}',
  })
  expect(await data(`quarantine show ${newest?.id} --values`)).toMatchObject({ key: null, value: 'base64://4=' })
  const { code, stderr } = await cli('quarantine show 999')
  expect([code, stderr]).toEqual([1, 'No record 999 is quarantined; see: forebay quarantine list --state ALL\n'])
})

test('C14 a new epoch lets the partitions of one topic go on from where they stand', async () => {
  expect(await data('replay --new-epoch orders --partition 1')).toEqual({
    topic: 'orders',
    partitions: [{ partition: 1, epoch: 3, nextOffset: '20', was: 'STUCK' }],
  })
  const rows =
    await database.sql`select topic, partition, epoch, next_offset, state, reason, frontier is null as unknown from forebay.positions order by 1, 2`
  expect(rows.map((row) => Object.values(row))).toEqual([
    ['else', 0, 0, '5', 'RUNNING', null, false],
    ['orders', 0, 0, '10', 'RUNNING', null, false],
    ['orders', 1, 3, '20', 'RUNNING', null, true],
  ])
})

test('C21 a topic made anew is read from the offset that the operator gives', async () => {
  expect(await data('replay --new-epoch else --from 0')).toEqual({
    topic: 'else',
    partitions: [{ partition: 0, epoch: 1, nextOffset: '0', was: 'RUNNING' }],
  })
})

test('a new epoch of a topic that was never read is refused', async () => {
  const { code, stderr } = await cli('replay --new-epoch nothing')
  expect(code).toBe(1)
  expect(stderr).toContain('Nothing has been read of nothing')
})
