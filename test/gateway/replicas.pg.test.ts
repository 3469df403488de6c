/** Reading from a real streaming standby, which is paused, cut off, silenced and killed. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { replicaRun } from '../../src/gateway/read/replica-run.ts'
import { createRunner } from '../../src/gateway/read/statements.ts'
import { connect } from '../../src/platform/postgres.ts'
import { type Replicated, startReplicated } from '../support/replicated-postgres.ts'
import { metricValues, until } from './support/asking.ts'
import { desk } from './support/desk.ts'
import { startWay, type Way } from './support/outage.ts'
import { type Answer, readModel, startWorld, type World } from './support/world.ts'

let pair: Replicated
let way: Way
let world: World
beforeAll(async () => {
  pair = await startReplicated()
  way = await startWay(pair.standby.url)
  const model = await readModel('test/graphql/schema')
  world = await startWorld({ model, rows: desk, database: pair.database, readUrls: [way.url] })
}, 120_000)
afterAll(async () => {
  await world.stop()
  await way.close()
  await pair.stop()
})

const finance = { roles: ['FINANCE'] }
const ask = (headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  world.ask('{ customerCard(id: "ada") { region } }', finance, {}, { headers })
const region = ({ body }: Answer): string => body.data?.customerCard?.region ?? JSON.stringify(body.errors)
/** Requests that were answered by the replica, and statements that it was to answer and the primary did. */
const counts = async () => {
  const [requests, statements] = await Promise.all([
    metricValues('forebay_replica_requests_total'),
    metricValues('forebay_replica_reads_total'),
  ])
  const of = (values: ReadonlyMap<string, number>, label: string) =>
    [...values].reduce((sum, [labels, value]) => (labels.includes(label) ? sum + value : sum), 0)
  return {
    replica: of(requests, 'from="replica"'),
    primary: of(requests, 'from="primary"'),
    fallen: of(statements, 'result="fallen"'),
  }
}
const since = async (before: Awaited<ReturnType<typeof counts>>) => {
  const now = await counts()
  return {
    replica: now.replica - before.replica,
    primary: now.primary - before.primary,
    fallen: now.fallen - before.fallen,
  }
}
let turn = 0
/** Writes a row that is seen at once, and moves every position and frontier as ingest would. Answers with the token of the write. */
const write = async (): Promise<{ readonly region: string; readonly token: string }> => {
  turn += 1
  const [ada] = desk.Customer as [Record<string, unknown>]
  await world.write({ Customer: [{ ...ada, region: `r${turn}` }] })
  await pair.database.sql`
    update forebay.positions set next_offset = ${42 + turn}, frontier = clock_timestamp(), observed_at = clock_timestamp(), observed_end = ${42 + turn}`
  return { region: `r${turn}`, token: `at:crm.customers-0-${41 + turn}` }
}
const fromReplica = async (): Promise<boolean> => {
  const before = await counts()
  const { body } = await ask()
  // The world begins with frontiers that are ahead of time, which a look of the standby may still have.
  return (await since(before)).replica === 1 && Date.parse(body.extensions?.freshness.asOf) <= Date.now() + 1_000
}
beforeEach(async () => {
  way.mend()
  await pair.standby.resume().catch(() => {})
  await write()
  await pair.standby.caughtUp()
  // A standby is taken once it is looked at and as fresh as promised; until then the primary answers.
  await until(async () => {
    await pair.database.sql`update forebay.positions set frontier = clock_timestamp()`
    return await fromReplica()
  })
})

test('C22 rows come from a replica that is as fresh as asked, and asOf from the very same', async () => {
  const { region: latest } = await write()
  await pair.standby.caughtUp()
  await until(async () => region(await ask()) === latest)
  await pair.standby.pause()
  const { region: ahead } = await write()
  // What the replica holds is as fresh as asked, and the answer says what it is.
  const before = await counts()
  const answer = await ask({ 'Forebay-Max-Staleness': '1h' })
  expect(await since(before)).toMatchObject({ replica: 1, fallen: 0 })
  expect(region(answer)).toBe(latest)
  const [primary] = await pair.database.sql<{ ms: number }[]>`
    select (extract(epoch from min(frontier)) * 1000)::float8 as ms from forebay.positions`
  expect(Date.parse(answer.body.extensions.freshness.asOf)).toBeLessThan(primary!.ms)
  // What is asked for more than that is answered by the primary.
  await until(async () => region(await ask({ 'Forebay-Max-Staleness': '0s', 'Forebay-On-Stale': 'serve' })) === ahead)
})

test('C27 a replica whose replay is paused answers nobody who asks for a later position, or has read a later answer', async () => {
  await pair.standby.pause()
  for (let i = 0; i < 5; i++) {
    const { region: latest, token } = await write()
    const own = await ask({ 'Forebay-After': token, 'Forebay-Wait': '10s' })
    expect(region(own)).toBe(latest)
    const echoed = await ask({ 'Forebay-After': own.headers.get('forebay-position')!, 'Forebay-Wait': '10s' })
    expect(region(echoed)).toBe(latest)
  }
  await pair.standby.resume()
  await pair.standby.caughtUp()
  const { token } = await write()
  await pair.standby.caughtUp()
  const before = await counts()
  await until(async () => {
    await ask({ 'Forebay-After': token, 'Forebay-Wait': '10s' })
    return (await since(before)).replica > 0
  })
})

test('a replica that lags behind the promise is not read from, and again once it has caught up', async () => {
  await pair.standby.pause()
  await until(async () => {
    await write()
    return !(await fromReplica())
  })
  const { region: latest } = await write()
  await until(async () => region(await ask()) === latest)
  await pair.standby.resume()
  await pair.standby.caughtUp()
  await until(async () => {
    await pair.database.sql`update forebay.positions set frontier = clock_timestamp()`
    return await fromReplica()
  })
})

test('a replica that hangs or is cut off in the middle of requests costs no answer', async () => {
  for (const fault of [way.hang, way.breakOff]) {
    const before = await counts()
    const asking = Array.from({ length: 40 }, async (_, i) => {
      if (i === 5) fault()
      return await ask()
    })
    for (const answer of await Promise.all(asking)) expect(answer.status, answer.text).toBe(200)
    await until(async () => !(await fromReplica()))
    expect((await since(before)).primary).toBeGreaterThan(0)
    way.mend()
    await until(async () => {
      await pair.database.sql`update forebay.positions set frontier = clock_timestamp()`
      return await fromReplica()
    })
  }
})

test('a replica that dies while it reads rows is answered for by the primary', async () => {
  const table = world.views.get('CustomerCard')!.table.table
  const before = await counts()
  let answer: Promise<Answer> | undefined
  await pair.database.sql
    .begin(async (tx) => {
      // Held on the primary, replayed on the standby: whoever reads there waits.
      await tx.unsafe(`lock table ${table} in access exclusive mode`)
      await until(async () => {
        await pair.database.sql`select pg_current_wal_flush_lsn()`
        await pair.database.sql`update forebay.positions set frontier = clock_timestamp()`
        const [held] = await pair.standby.sql<{ held: boolean }[]>`
          select exists (select from pg_locks where mode = 'AccessExclusiveLock' and relation is not null) as held`
        return held!.held
      })
      answer = ask()
      await until(async () => {
        const [waiting] = await pair.standby.sql<{ n: number }[]>`
          select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'forebay gateway reads'`
        return waiting!.n > 0
      })
      await pair.standby.kill()
      throw new Error('let go')
    })
    .catch((error: unknown) => {
      if ((error as Error).message !== 'let go') throw error
    })
  expect(region((await answer)!)).toMatch(/^r\d+$/)
  expect((await since(before)).fallen).toBeGreaterThan(0)
  await pair.standby.start()
})

test('C22 a standby that was started anew may stand further back: for a snapshot from before, the primary answers', async () => {
  const sql = connect(pair.standby.url, { max: 2, name: 'replica run' })
  const replica = { place: 'standby', sql, silentMs: () => 0, served: () => {}, failed: () => {} }
  const serverOf = async (): Promise<string> => {
    const [row] = await pair.standby.sql<{ server: string }[]>`select pg_postmaster_start_time()::text as server`
    return row!.server
  }
  const [runBy, ask] = [
    (server: string) => replicaRun(replica, server, createRunner(pair.database.sql)),
    { text: 'select pg_is_in_recovery() as standby', values: [] },
  ]
  try {
    const before = runBy(await serverOf())
    expect(await before(ask, true)).toEqual([{ standby: true }])
    const down = 'from generate_series(1, 100) n order by n desc'
    expect(await before({ text: `select n, n::text as t ${down}`, values: [] }, false)).toEqual(
      Array.from({ length: 100 }, (_, i) => ({ n: 100 - i, t: String(100 - i) })),
    )
    expect(await before({ text: `select n ${down} limit 0`, values: [] }, false)).toEqual([])
    await pair.standby.kill()
    await pair.standby.start()
    await pair.standby.caughtUp()
    expect(await before(ask, true)).toEqual([{ standby: false }])
    expect(await runBy(await serverOf())(ask, true)).toEqual([{ standby: true }])
  } finally {
    await sql.end({ timeout: 1 })
  }
})

test('a server that is no copy of the primary is never read from', async () => {
  const other = await startReplicated()
  const model = await readModel('test/graphql/schema')
  const mixed = await startWorld({ model, rows: desk, database: other.database, readUrls: [pair.standby.url] })
  try {
    const before = await counts()
    await until(async () => {
      const { status } = await mixed.ask('{ customerCard(id: "ada") { region } }', finance)
      return status === 200 && (await since(before)).primary > 10
    })
    expect((await since(before)).replica).toBe(0)
  } finally {
    await mixed.stop()
    await other.stop()
  }
})
