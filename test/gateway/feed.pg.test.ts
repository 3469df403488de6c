/** The change feed as a gateway follows it over Postgres: what ingest changes goes out of this process's cache, and nothing else does. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type ChangeFeed, followChanges } from '../../src/gateway/feed/feed.ts'
import { type Sequences, sequencesSql } from '../../src/gateway/feed/sequences.ts'
import { until } from '../kafka/client.ts'
import { customer, openStage, type Stage } from '../law/stage.ts'

let stage: Stage
let feed: ChangeFeed
const heard: string[] = []
beforeAll(async () => {
  stage = await openStage()
  await stage.apply(0, customer('ada', 1))
  await stage.drain()
  feed = await followChanges({ sql: stage.database.sql, databaseUrl: stage.database.url })
  feed.listen({
    changed: (rows) => heard.push(...rows.map(({ view, key }) => `${view} ${key}`)),
    changedWhole: (view) => heard.push(`all of ${view}`),
    dropped: (reason) => heard.push(reason),
  })
  await until(async () => {
    await look()
    return feed.covers(await sequences())
  }, 'it follows')
})
afterAll(async () => {
  await feed.stop()
  await stage.close()
})
beforeEach(() => heard.splice(0))

const sequences = async (): Promise<Sequences> => {
  const [row] = await stage.database.sql.unsafe<{ feeds: string }[]>(`select ${sequencesSql}::text as feeds`)
  return JSON.parse(row!.feeds) as Sequences
}
const look = async (): Promise<void> => {
  const begun = performance.now()
  feed.seen({ feeds: await sequences(), catalog: 1 }, begun)
}
const covered = () => until(async () => feed.covers(await sequences()), 'all is processed')
const table = () => stage.catalog.generations.find(({ table }) => table.view === 'CustomerOrders')!
const nameOf = (id: string) => feed.names.row(table().table.hash, 'acme', [id])

describe('a change that maintenance works in', () => {
  test('C30 moves the sequence in its own transaction, and is told by its hash', async () => {
    const before = await sequences()
    await stage.apply(0, customer('ada', 2, 'Ada'))
    expect(await sequences(), 'nothing is worked in').toEqual(before)
    await stage.drain()
    const after = await sequences()
    expect(Object.values(after)).toEqual(Object.values(before).map((at) => at + 1))
    await covered()
    expect(heard).toEqual([`CustomerOrders ${nameOf('ada')}`])
  })

  test('that changes no row moves nothing', async () => {
    const before = await sequences()
    await stage.apply(0, customer('ada', 3, 'Ada'))
    await stage.drain()
    expect(await sequences()).toEqual(before)
  })

  test('C30 a read from before it may not be kept, one from after it may', async () => {
    const { generation } = table()
    const before = await sequences()
    await stage.apply(0, customer('ada', 4, 'Grace'))
    await stage.drain()
    await covered()
    expect(feed.holds(before, generation, nameOf('ada'))).toBe(false)
    expect(feed.holds(before, generation, nameOf('bob')), 'another row').toBe(true)
    expect(feed.holds(await sequences(), generation, nameOf('ada'))).toBe(true)
  })

  test('with more rows than are named tells that all of the view may have changed', async () => {
    const before = await sequences()
    const many = Array.from({ length: 2_500 }, (_, i) => customer(`many${i}`, 5))
    await stage.apply(1, ...many)
    await stage.drain(30_000)
    await covered()
    expect(heard).toEqual(['all of CustomerOrders'])
    expect(feed.holds(before, table().generation, nameOf('nobody'))).toBe(false)
  })

  test('with more rows than one NOTIFY carries tells each of them', async () => {
    await stage.apply(1, ...Array.from({ length: 900 }, (_, i) => customer(`many${i}`, 6, 'Eve')))
    await stage.drain(30_000)
    await covered()
    expect(new Set(heard)).toEqual(
      new Set(Array.from({ length: 900 }, (_, i) => `CustomerOrders ${nameOf(`many${i}`)}`)),
    )
  })
})

describe('what was kept goes, all of it', () => {
  test('C31 when another owner opens another feed', async () => {
    const before = await sequences()
    await stage.release()
    await stage.apply(0, customer('ada', 7, 'Joan'))
    await stage.drain()
    const after = await sequences()
    expect(Object.keys(after)).not.toEqual(Object.keys(before))
    expect(feed.covers(after), 'nothing is known of the new one').toBe(false)
    await look()
    expect(heard).toContain('EPOCH')
    expect(feed.covers(after)).toBe(true)
    expect(feed.holds(before, table().generation, nameOf('bob')), 'of the old epoch').toBe(false)
  })

  test('when the connection that listens is lost, at once, and it begins anew from a later snapshot', async () => {
    const early = performance.now()
    const old = await sequences()
    expect(feed.covers(old)).toBe(true)
    await stage.database.sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'forebay change feed'`
    await until(() => heard.includes('LOST'), 'it is told')
    expect(feed.covers(old)).toBe(false)
    // Asked for before it listened again: what changed meanwhile would be missed.
    feed.seen({ feeds: old, catalog: 1 }, early)
    expect(feed.covers(old)).toBe(false)
    await until(async () => {
      await look()
      return feed.covers(await sequences())
    }, 'it follows again')
  })

  test('when views are registered anew', async () => {
    feed.seen({ feeds: await sequences(), catalog: 2 }, performance.now())
    expect(heard).toEqual(['CATALOG'])
  })
})
