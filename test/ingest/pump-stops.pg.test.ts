/** What makes a pump stop, whole or for one partition, and how it goes on. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { registerViews } from '../../src/ingest/generations.ts'
import { startEpoch } from '../../src/operate/replay.ts'
import { until } from '../kafka/client.ts'
import { loadModel } from '../law/model.ts'
import { memorySource } from './memory-source.ts'
import {
  bothTopics,
  CUSTOMERS,
  customer,
  customers,
  holdApplier,
  incompressible,
  ORDERS,
  order,
  position,
  run,
  SHOP,
  setUpPumps,
  sql,
  untilAt,
} from './pumps.ts'

setUpPumps()

test('C8 an applier that does not know a registered generation stops with a message and takes nothing more', async () => {
  const source = memorySource([CUSTOMERS])
  const { pump, failures } = await run(source)
  source.append(customer(0, { id: 'a' }))
  await untilAt('customers', 1)
  await registerViews(sql, await loadModel(SHOP.replace('name: String!, orders', 'orders')))
  source.append(customer(1, { id: 'b' }))
  await until(() => failures.length > 0, 'failed')
  expect(failures).toEqual([
    expect.stringMatching(/another process registered views.*start this one with the same schema/),
  ])
  expect((await customers()).map(({ id }) => id)).toEqual(['a'])
  expect(await position('customers')).toMatchObject({ next: 1 })
  const more = { ...CUSTOMERS, from: 2n, to: 3n, records: [customer(2, { id: 'c' })] }
  await expect(pump.sink.deliver(more)).rejects.toThrow(/stopped/)
})

test('what Postgres refuses and no record is to blame for stops the pump with where and why, parks nothing, and is applied after a new start', async () => {
  const source = memorySource(bothTopics)
  const { pump, failures } = await run(source)
  source.append(customer(0, { id: 'a' }), order(0, { id: 'o' }))
  await Promise.all([untilAt('customers', 1), untilAt('orders', 1)])
  await sql`alter table shop.order rename to mislaid`
  source.append(order(1, { id: 'p' }))
  await until(() => failures.length > 0, 'failed')
  await sql`alter table shop.mislaid rename to "order"`
  expect(failures).toEqual([
    expect.stringMatching(
      /^what was read of orders-0 from offset 1 can't be applied, .*\(SQLSTATE 42P01\): nothing is lost/,
    ),
  ])
  source.append(customer(1, { id: 'b' }))
  await expect(pump.sink.deliver({ ...ORDERS, from: 2n, to: 3n, records: [] })).rejects.toThrow(/stopped/)
  expect([await position('customers'), await position('orders')]).toMatchObject([{ next: 1 }, { next: 1 }])
  expect(await sql`select from forebay.quarantine`).toHaveLength(0)
  await source.stop()
  const again = memorySource(bothTopics)
  again.append(customer(0, { id: 'a' }), customer(1, { id: 'b' }), order(0, { id: 'o' }), order(1, { id: 'p' }))
  await run(again)
  await Promise.all([untilAt('customers', 2), untilAt('orders', 2)])
  expect(await sql`select id from shop.order order by id`).toEqual([{ id: 'o' }, { id: 'p' }])
})

describe('C14 a source that went back in time', () => {
  const back = { lsn: 5, at: 1_890_000_000_000_000 }

  test('C14 stops its partition with the reason, and the others of the batch go on', async () => {
    const source = memorySource(bothTopics)
    source.append(customer(0, { id: 'c' }, { lsn: 50 }), customer(1, { id: 'c' }, back), order(0, { id: 'o' }))
    await run(source)
    await until(async () => (await position('customers'))?.state === 'STUCK', 'stuck')
    expect((await position('customers'))!.reason).toMatch(/restored or replaced.*forebay replay --new-epoch/)
    await untilAt('orders', 1)
    source.append(...[2, 3, 4].map((offset) => customer(offset, { id: `later${offset}` }, { lsn: 100 + offset })))
    source.append(...[1, 2, 3].map((offset) => order(offset, { id: `o${offset}` })))
    await untilAt('orders', 4)
    expect((await customers()).some(({ id }) => id.startsWith('later'))).toBe(false)
  })

  test('C14 what is delivered of it meanwhile makes nobody’s batch come again', async () => {
    const source = memorySource(bothTopics)
    source.append(customer(0, { id: 'c' }, { lsn: 50 }), customer(1, { id: 'c' }, back))
    const running = await run(source, { lanes: 1 })
    await until(async () => (await position('customers'))?.state === 'STUCK', 'stuck')
    const held = await holdApplier(running)
    const before = source.rewound.length
    source.append(order(0, { id: 'o' }), customer(2, { id: 'later' }, { lsn: 100 }))
    await until(() => running.pump.backlog() > 0, 'waits')
    await sleep(50)
    await held.release()
    await untilAt('orders', 1)
    expect(source.rewound.slice(before)).toEqual([])
  })

  test('C14 when the batch had to be halved its other half comes again', async () => {
    const source = memorySource(bothTopics)
    const running = await run(source, { lanes: 1 })
    const held = await holdApplier(running)
    source.append(customer(0, { id: 'c' }, { lsn: 50 }), customer(1, { id: 'c' }, back))
    source.append(order(0, { id: 'o' }), order(1, { id: incompressible() }))
    await until(() => running.pump.backlog() === 4, 'all wait')
    await held.release()
    await untilAt('orders', 2)
    await until(async () => (await position('customers'))?.state === 'STUCK', 'stuck')
    expect(await position('customers')).toMatchObject({ state: 'STUCK', next: 0 })
  })

  test('C14 after a new epoch it goes on from where it stopped', async () => {
    const source = memorySource(bothTopics)
    source.append(customer(0, { id: 'c', name: 'old' }, { lsn: 50 }))
    await run(source)
    await untilAt('customers', 1)
    source.append(customer(1, { id: 'c', name: 'restored' }, back))
    await until(async () => (await position('customers'))?.state === 'STUCK', 'stuck')
    await startEpoch(sql, 'customers', {})
    source.append(customer(2, { id: 'd' }, { lsn: 6 }))
    await untilAt('customers', 3)
    expect(await customers()).toMatchObject([{ id: 'c', name: 'restored' }, { id: 'd' }])
  })
})
