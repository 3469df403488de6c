/** A group that never comes to rest, and a member that stands still and comes back: ends equal what was sent, each change applied once. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { kafkaSource, sessionMs } from '../../src/ingest/source/kafka.ts'
import { until } from '../kafka/client.ts'
import type { Running } from '../support/forebay.ts'
import { type KafkaService, startKafka } from '../support/kafka.ts'
import { series } from '../support/metrics.ts'
import { counted, type GroupShop, openGroupShop } from './group-shop.ts'

/** Of churn. FOREBAY_CHURN_SECONDS for more. */
const seconds = Number(process.env.FOREBAY_CHURN_SECONDS ?? 8)

let kafka: KafkaService
let shop: GroupShop | undefined
beforeAll(async () => {
  kafka = await startKafka()
})
afterEach(async () => {
  await shop?.close()
  shop = undefined
})
afterAll(() => kafka?.stop())

/** Joins the group and leaves it again, reading nothing: two rebalances. */
const comeAndGo = async (topic: string): Promise<boolean> => {
  let joined = false
  const source = kafkaSource({
    brokers: kafka.brokers,
    topics: [topic, `${topic}-shelves`],
    groupId: topic,
    maxLagMs: 2_000,
  })
  await source.start({
    assigned: async () => {
      joined = true
      return []
    },
    deliver: async () => {},
    stuck: async () => {},
  })
  await sleep(700)
  await source.stop()
  return joined
}

test('three processes, a rebalance every second: nothing is lost, nothing is applied twice', async () => {
  shop = await openGroupShop(kafka.brokers)
  const { topic, partitions } = shop
  const members = await Promise.all([shop.member(), shop.member(), shop.member()])
  let churning = true
  const produced = (async () => {
    for (let n = 0; churning; n++) {
      await shop.send(n % partitions, 40)
      await sleep(20)
    }
  })()
  const deadline = Date.now() + seconds * 1_000
  let rounds = 0
  while (Date.now() < deadline) if (await comeAndGo(topic)) rounds += 1
  churning = false
  await produced
  await shop.expectWhole()
  const { rows, updates } = await shop.written()
  expect({ rows, updates }).toEqual({ rows: shop.sent(), updates: 0 })
  const sum = async (name: string) =>
    (await Promise.all(members.map((member) => counted(member, name)))).reduce((total, count) => total + count, 0)
  expect(await sum('forebay_changes_applied_total')).toBe(shop.sent() + 50)
  expect(await sum('forebay_changes_dropped_total')).toBe(0)
  expect(rounds).toBeGreaterThan(seconds / 3)
}, 180_000)

test('a process that stands still in a transaction holds nobody up for long, and writes nothing when it comes back', async () => {
  shop = await openGroupShop(kafka.brokers, 2)
  const { sql, topic } = shop
  const zombie = await shop.member('zombie')
  await shop.send(0, 10)
  await shop.send(1, 10)
  await until(async () => (await shop!.written()).rows === 20, 'the first member reads both partitions')
  // Its next transactions wait for these rows, and then hold them themselves.
  const holder = await sql.reserve()
  await holder`begin`
  await holder`select from forebay.positions where topic = ${topic} for update`
  await shop.send(0, 30)
  await shop.send(1, 30)
  await until(async () => {
    const [row] = await sql<{ n: number }[]>`
      select count(*)::int as n from pg_stat_activity
      where datname = current_database() and usename like 'zombie%' and application_name = 'forebay apply' and wait_event_type = 'Lock'`
    return row!.n > 0
  }, 'it waits in its transaction')
  process.kill(-zombie.child.pid, 'SIGSTOP')
  await holder`commit`
  holder.release()
  const other = await shop.member('other')
  await shop.expectWhole()
  expect(await shop.written()).toEqual({ rows: 80, updates: 0, by: { zombie: 20, other: 60 } })
  process.kill(-zombie.child.pid, 'SIGCONT')
  await until(async () => (await zombie.readyz()).status === 200, 'it is back', 40_000)
  await sleep(2_000)
  expect(await shop.written()).toEqual({ rows: 80, updates: 0, by: { zombie: 20, other: 60 } })
  // Both go on, as members of one group.
  await shop.send(0, 50)
  await shop.send(1, 50)
  await shop.expectWhole()
  expect(await shop.written()).toMatchObject({ rows: 180, updates: 0 })
  expect(other.child.alive() && zombie.child.alive()).toBe(true)
}, 180_000)

test('lag, position and freshness of a partition are at /metrics of the process that reads it, and of no other', async () => {
  shop = await openGroupShop(kafka.brokers, 3)
  const { sql, topic } = shop
  const names = [0, 1, 2].map((n) => `topic="${topic}",partition="${n}"`)
  const own = async (member: Running, metric = 'forebay_partition_position') =>
    new Map([...(await series(member.url, metric))].filter(([labels]) => names.includes(labels)))
  const first = await shop.member()
  for (const partition of [0, 1, 2]) await shop.send(partition, 10 * (partition + 1))
  await shop.expectWhole()
  await until(async () => [...(await own(first)).values()].join() === '10,20,30', 'all of them, by what is applied')
  await until(
    async () => [...(await own(first, 'forebay_partition_freshness_seconds')).values()].every((age) => age < 2),
    'idle is fresh',
  )
  expect([...(await own(first, 'forebay_partition_lag_records')).values()]).toEqual([0, 0, 0])
  expect((await own(first, 'forebay_partition_source_freshness_seconds')).size, 'nobody asks the source').toBe(0)

  const holder = await sql.reserve()
  await holder`begin`
  await holder`select from forebay.positions where topic = ${topic} and partition = 0 for update`
  await shop.send(0, 7)
  await until(
    async () => (await own(first, 'forebay_partition_freshness_seconds')).get(names[0]!)! > 2.5,
    'what can not be applied grows old',
  )
  const ages = await own(first, 'forebay_partition_freshness_seconds')
  expect(ages.get(names[1]!), 'and the others do not').toBeLessThan(2)
  await holder`commit`
  holder.release()

  const second = await shop.member()
  await until(async () => (await own(second)).size > 0, 'the second one reads some')
  const shares = async () => [[...(await own(first)).keys()], [...(await own(second)).keys()]].flat().toSorted()
  await until(async () => String(await shares()) === String(names), 'each is told once')
  await second.child.kill9()
  await until(async () => (await own(first)).size === 3, 'they come back', 30_000)
}, 120_000)

test('a transaction that outlasts the session: its member stays one, and nothing is applied twice', async () => {
  shop = await openGroupShop(kafka.brokers, 2)
  const { sql, topic, client } = shop
  const member = await shop.member()
  await shop.send(0, 10)
  await until(async () => (await shop!.written()).rows === 10, 'it reads')
  const group = async () => {
    const { groups } = await client.admin.describeGroups([topic])
    return groups.map(({ state, members }) => ({ state, members: members.map(({ memberId }) => memberId) }))
  }
  const before = await group()
  expect(before).toMatchObject([{ state: 'Stable', members: [expect.any(String)] }])
  const holder = await sql.reserve()
  await holder`begin`
  await holder`select from forebay.positions where topic = ${topic} and partition = 0 for update`
  const deadline = Date.now() + sessionMs + 3_000
  for (let round = 0; Date.now() < deadline; round++) {
    await shop.send(round % 2, 10)
    await sleep(500)
    expect(await group()).toEqual(before)
  }
  await holder`commit`
  holder.release()
  await shop.expectWhole()
  expect(await group()).toEqual(before)
  expect(await shop.written()).toMatchObject({ rows: shop.sent(), updates: 0 })
  expect(await counted(member, 'forebay_changes_dropped_total')).toBe(0)
  expect(member.child.output()).not.toContain('position.lost')
}, 180_000)
