/** C19: what a pump does about a record whose key can't be told, and about too many in quarantine. */
import { describe, expect, test } from 'vitest'
import { watchQuarantine } from '../../src/ingest/quarantine-watch.ts'
import { dropQuarantined, redriveQuarantined } from '../../src/operate/quarantine/act.ts'
import { metricsText } from '../../src/platform/metrics.ts'
import { until } from '../kafka/client.ts'
import { memorySource } from './memory-source.ts'
import {
  bothTopics,
  CUSTOMERS,
  customer,
  customers,
  later,
  means,
  order,
  parked,
  position,
  run,
  setUpPumps,
  sql,
  untilAt,
} from './pumps.ts'

setUpPumps()

const paused = (topic: string, partition = 0) =>
  until(async () => (await position(topic, partition))?.state === 'PAUSED', `${topic}-${partition} paused`)
const ids = async () =>
  (await sql<{ id: string }[]>`select id from forebay.quarantine where state = 'PARKED' order by id`).map(
    ({ id }) => id,
  )
const dropping = { reason: 'a test', actor: 'tester' }

describe('C19 a record whose key can not be told', () => {
  const untold = (offset: number, partition = 0) =>
    customer(offset, { id: '?' }, { partition, key: null, value: Buffer.from('not json') })

  test('C19 pauses its partition there, other partitions go on, and after a drop it goes on by itself', async () => {
    const other = { ...CUSTOMERS, partition: 1 }
    const source = memorySource([...bothTopics, other])
    source.append(customer(0, { id: 'a' }), untold(1), customer(2, { id: 'b' }))
    await run(source)
    await paused('customers')
    source.append(customer(0, { id: 'c' }, { partition: 1 }), order(0, { id: 'o' }), customer(3, { id: 'd' }))
    await Promise.all([untilAt('customers', 1, 1), untilAt('orders', 1)])
    expect(await position('customers')).toMatchObject({ next: 1, state: 'PAUSED' })
    expect((await customers()).map(({ id }) => id)).toEqual(['a', 'c'])
    await dropQuarantined(means(), { ids: await ids(), ...dropping })
    await untilAt('customers', 4)
    expect((await customers()).map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd'])
  })

  test('C19 is paused still for whoever starts later, and goes on there too', async () => {
    const first = memorySource([CUSTOMERS])
    first.append(untold(0), customer(1, { id: 'b' }))
    await run(first)
    await paused('customers')
    const second = memorySource([CUSTOMERS])
    second.append(untold(0), customer(1, { id: 'b' }))
    await run(second)
    expect(await position('customers')).toMatchObject({ next: 0, state: 'PAUSED' })
    await dropQuarantined(means(), { ids: await ids(), ...dropping })
    await untilAt('customers', 2)
    expect(await parked()).toHaveLength(1)
  })
})

test('C19 past the cap a topic pauses, says so, and goes on once a redrive brings it below', async () => {
  const cap = 5
  const watch = watchQuarantine({ sql, cap, read: () => [], everyMs: 20 })
  later(() => watch.stop())
  const source = memorySource(bothTopics, 2)
  for (let offset = 0; offset < 40; offset++) source.append(customer(offset, { id: `c${offset}`, name: null }))
  source.append(order(0, { id: 'o' }))
  await run(source, { cap, quarantined: () => watch.check() })
  await paused('customers')
  await untilAt('orders', 1)
  const { next, reason } = (await position('customers'))!
  expect(reason).toMatch(/records of customers are in quarantine, more than FOREBAY_QUARANTINE_CAP \(5\)/)
  const [since] =
    await sql`select clock_timestamp() - stopped_at < interval '1 minute' as "isTold" from forebay.positions where topic = 'customers'`
  expect(since, 'and since when').toEqual({ isTold: true })
  expect(next).toBe(cap + 1)
  expect(await parked()).toHaveLength(next)
  await until(
    async () => (await metricsText()).text.includes('forebay_source_paused{topic="customers",partition="0"} 1'),
    'the metric says so',
  )
  expect((await metricsText()).text).toContain(`forebay_quarantine_records{topic="customers",state="PARKED"} ${next}`)
  expect(await redriveQuarantined(means(), { topic: 'customers' })).toMatchObject({ redriven: 0, parked: next })
  expect(await position('customers')).toMatchObject({ next, state: 'PAUSED' })
  // Each time some are given up it goes on for a while; nothing is left out.
  for (;;) {
    await until(async () => {
      const { state, next } = (await position('customers'))!
      return state === 'PAUSED' || next === 40
    }, 'paused again, or done')
    if ((await position('customers'))!.next === 40) break
    await dropQuarantined(means(), { ids: await ids(), ...dropping })
    await until(async () => (await position('customers'))!.state === 'RUNNING', 'goes on')
  }
  expect((await parked()).map(({ offset }) => Number(offset))).toEqual([...Array(40).keys()])
})
