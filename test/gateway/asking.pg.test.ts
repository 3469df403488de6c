/** Asking for freshness over HTTP, with positions that the test moves as ingest would. */
import { inflateRawSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ownMetric, until } from './support/asking.ts'
import { desk } from './support/desk.ts'
import { type Answer, readModel, startWorld, type World } from './support/world.ts'

let world: World
let generation: number
beforeAll(async () => {
  world = await startWorld({ model: await readModel('test/graphql/schema'), rows: desk })
  const { sql } = world.database
  const [row] = await sql<{ generation: number }[]>`
    select generation from forebay.generations where view = 'CustomerCard'`
  generation = row!.generation
})
afterAll(() => world.stop())

const finance = { roles: ['FINANCE'] }
const query = '{ customerCard(id: "ada") { id region } }'
const ask = (headers: Readonly<Record<string, string>>, text = query): Promise<Answer> =>
  world.ask(text, finance, {}, { headers })
const code = ({ status, body }: Answer) => [status, body.errors?.[0]?.extensions.code ?? null]

/** All positions as they are while nothing is behind: applied up to 42, asked `ago` ago. */
const settle = async (ago = '0 s'): Promise<void> => {
  const { sql } = world.database
  await sql`delete from forebay.dirty`
  await sql`update forebay.positions set next_offset = 42, epoch = 0, topic_id = null, frontier = clock_timestamp() - ${ago}::interval`
  await sql`delete from forebay.epochs`
  // Until the gateway has seen it.
  await until(async () => (await ask({})).body.extensions.freshness.lagMs < 60_000)
}
const behind = async (ago: string): Promise<void> => {
  await settle(ago)
  await until(async () => (await ask({})).body.extensions.freshness.lagMs >= 10_000)
}
const apply = (topic: string, offset: number) =>
  world.database.sql`update forebay.positions set next_offset = ${offset + 1} where topic = ${topic}`
/** What a change leaves to be worked in. */
const log = (topic: string, first: number, path = 0) => world.database.sql`
  insert into forebay.dirty (slot, generation, path, shard, keys, n, origin, offsets)
  values (0, ${generation}, ${path}, 0, '[]', 1, clock_timestamp() - interval '5 s', ${JSON.stringify({ [topic]: { 0: String(first) } })}::text::jsonb)`
beforeEach(() => settle())

describe('at most so stale', () => {
  test('FAIL answers at once where it is fresh enough, and else refuses, with what was asked, what is, and why', async () => {
    await behind('12 s')
    await world.database
      .sql`update forebay.positions set state = 'PAUSED', reason = 'by hand', stopped_at = now() where topic = 'sales.orders'`
    expect(code(await ask({ 'Forebay-Max-Staleness': '1h', 'Forebay-On-Stale': 'fail' }))).toEqual([200, null])
    let answer: Answer | undefined
    await until(async () => {
      answer = await ask({ 'Forebay-Max-Staleness': '5s', 'Forebay-On-Stale': 'fail' })
      return answer.text.includes('by hand')
    })
    await world.database.sql`update forebay.positions set state = 'RUNNING', reason = null, stopped_at = null`
    expect(code(answer!)).toEqual([503, 'STALE'])
    const [error] = answer!.body.errors
    expect(error.message).toMatch(/CustomerCard: at most 5000 ms stale was asked: it is as of .*, \d+ ms short/)
    expect(error.extensions.stale).toMatchObject({
      asked: { maxStalenessMs: 5_000, consistency: 'EVENTUAL', onStale: 'FAIL' },
      views: {
        CustomerCard: {
          state: 'STALE',
          sources: [{ source: 'sales.orders-0', state: 'PAUSED', detail: 'by hand' }],
        },
      },
    })
    expect(answer!.body.data).toBeUndefined()
  })

  test('SERVE answers regardless, and says that it is not what was asked', async () => {
    expect((await ask({})).body.extensions.freshness).not.toHaveProperty('met')
    const fresh = await ask({ 'Forebay-Max-Staleness': '1h', 'Forebay-On-Stale': 'serve' })
    expect(fresh.body.extensions.freshness.met).toBe(true)
    await behind('12 s')
    const { status, body, headers } = await ask({ 'Forebay-Max-Staleness': '5s', 'Forebay-On-Stale': 'serve' })
    expect([status, body.data.customerCard.id, body.extensions.freshness.met]).toEqual([200, 'ada', false])
    expect(headers.get('forebay-state')).toBe('STALE')
    expect(headers.get('forebay-as-of')).toBe(body.extensions.freshness.asOf)
  })

  test('WAIT wakes once it is fresh enough, and gives up at its time, which is said', async () => {
    await behind('12 s')
    const waiting = ask({ 'Forebay-Max-Staleness': '5s', 'Forebay-Wait': '10s' })
    await until(async () => (await ownMetric('forebay_freshness_waiting')) === 1)
    await world.database.sql`update forebay.positions set frontier = clock_timestamp()`
    const { status, body } = await waiting
    expect([status, body.data?.customerCard.id, body.extensions.freshness.met]).toEqual([200, 'ada', true])
    await behind('12 s')
    const late = await ask({ 'Forebay-Max-Staleness': '5s', 'Forebay-Wait': '50ms' })
    expect(code(late)).toEqual([503, 'STALE'])
    expect(late.body.errors[0].message).toContain('after 50 ms of waiting')
  })

  test('what to do alone asks for what views promise', async () => {
    expect(code(await ask({ 'Forebay-On-Stale': 'fail' }))).toEqual([200, null])
    await behind('12 s')
    const answer = await ask({ 'Forebay-On-Stale': 'fail' })
    expect(code(answer)).toEqual([503, 'STALE'])
    expect(answer.body.errors[0].message).toContain('at most 5000 ms stale was promised')
  })

  test('@fresh asks the same, by literal or variable, and the stricter of it and the headers counts', async () => {
    await behind('12 s')
    const fresh = (args: string, variables = '') => `query Q${variables} @fresh(${args}) ${query}`
    expect(code(await ask({}, fresh('maxStaleness: "1h", onStale: FAIL')))).toEqual([200, null])
    expect(code(await ask({}, fresh('maxStaleness: $s, onStale: FAIL', '($s: Duration = "5s")')))).toEqual([
      503,
      'STALE',
    ])
    const both = { 'Forebay-Max-Staleness': '5s', 'Forebay-On-Stale': 'fail' }
    expect(code(await ask(both, fresh('maxStaleness: "1h", onStale: SERVE')))).toEqual([503, 'STALE'])
    const answer = await ask({}, fresh('maxStaleness: "1 hour"'))
    expect(code(answer)).toEqual([200, 'BAD_USER_INPUT'])
    expect(answer.body.errors[0].message).toContain('a duration such as')
  })
})

test('a waiter whose caller is gone frees its place', async () => {
  await behind('12 s')
  const leaving = new AbortController()
  const headers = { 'Forebay-Max-Staleness': '5s', 'Forebay-Wait': '10s' }
  const waiting = world.ask(query, finance, {}, { headers, signal: leaving.signal }).catch(() => 'left')
  await until(async () => (await ownMetric('forebay_freshness_waiting')) === 1)
  leaving.abort()
  expect(await waiting).toBe('left')
  await until(async () => (await ownMetric('forebay_freshness_waiting')) === 0)
})

describe('C27 tokens', () => {
  test('C27 a record is awaited until it is applied and nothing of its batch or an earlier one is pending, by one snapshot', async () => {
    const fail = { 'Forebay-After': 'at:sales.orders-0-42', 'Forebay-On-Stale': 'fail' }
    const early = await ask(fail)
    expect(code(early)).toEqual([503, 'STALE'])
    expect(early.body.errors[0].message).toContain('CustomerCard: not applied yet: sales.orders-0-42')
    await world.database.sql.begin(async (sql) => {
      await sql`update forebay.positions set next_offset = 43 where topic = 'sales.orders'`
      await sql`
        insert into forebay.dirty (slot, generation, path, shard, keys, n, origin, offsets)
        values (0, ${generation}, 0, 0, '[]', 1, clock_timestamp() - interval '5 s', '{"sales.orders":{"0":"42"}}')`
    })
    const pending = await ask(fail)
    expect(code(pending)).toEqual([503, 'STALE'])
    expect(pending.body.errors[0].message).toContain('applied and not yet worked in: sales.orders-0-42')
    const waiting = ask({ 'Forebay-After': 'at:sales.orders-0-42', 'Forebay-Wait': '10s' })
    await until(async () => (await ownMetric('forebay_freshness_waiting')) === 1)
    await world.database.sql`delete from forebay.dirty`
    expect(code(await waiting)).toEqual([200, null])
    expect(code(await ask(fail))).toEqual([200, null])
  })

  test('C27 what is pending from later changes, of other partitions, or of fields that are not shown, holds nobody back', async () => {
    const fail = { 'Forebay-After': 'at:sales.orders-0-41,at:crm.customers-0-40', 'Forebay-On-Stale': 'fail' }
    await log('sales.orders', 42)
    await log('crm.notes', 0)
    expect(code(await ask(fail))).toEqual([200, null])
    await log('crm.customers', 40)
    await until(async () => code(await ask(fail))[1] === 'STALE')
    // A position of a topic that this view doesn't read says nothing of it.
    expect(code(await ask({ ...fail, 'Forebay-After': 'at:sales.products-0-999' }))).toEqual([200, null])
  })

  test('C27 the token of an answer is satisfied by itself, and by no store that is behind it', async () => {
    await apply('sales.orders', 50)
    await until(async () => code(await ask({ 'Forebay-After': 'at:sales.orders-0-50' }))[0] === 200)
    const { headers, body } = await ask({})
    const token = headers.get('forebay-position')!
    expect(token).toBe(body.extensions.freshness.position)
    const fail = { 'Forebay-After': token, 'Forebay-On-Stale': 'fail' }
    expect(code(await ask(fail))).toEqual([200, null])
    await apply('sales.orders', 49)
    await until(async () => code(await ask(fail))[0] === 503)
  })

  test('C27 a token that speaks of what is not here fails at once, however long it would wait', async () => {
    const refused = async (after: string) => {
      const answer = await ask({ 'Forebay-After': after, 'Forebay-Wait': '10s' })
      expect(answer.body.errors[0].extensions.code, after).toBe('BAD_USER_INPUT')
      return answer.body.errors[0].message
    }
    expect(await refused('at:sales.nothing-0-1')).toContain('no view here depends on that topic')
    expect(await refused('lsn:nobody:0/1')).toContain('no topic here is read from a source of that name')
    expect(await refused('lsn:sales:0/1')).toContain('is not known here')
    expect(await refused('at:sales.orders')).toContain('The header Forebay-After is "at:sales.orders"')
    const { sql } = world.database
    await sql`update forebay.positions set topic_id = 'one', epoch = 1`
    let token = ''
    await until(async () => {
      token = (await ask({})).headers.get('forebay-position')!
      return inflateRawSync(Buffer.from(token.split('.')[0]!, 'base64url'))
        .toString()
        .includes('"one"')
    })
    expect(code(await ask({ 'Forebay-After': token, 'Forebay-On-Stale': 'fail' }))).toEqual([200, null])
    await sql`update forebay.positions set topic_id = 'two'`
    await until(async () => (await ask({ 'Forebay-After': token })).text.includes('deleted and made anew'))
    await sql`update forebay.positions set topic_id = 'one', epoch = 0`
    await until(async () => (await ask({ 'Forebay-After': token })).text.includes('has no epoch 1'))
    // A later epoch that began behind the token's position is another log; one that began after it has passed it.
    await sql`insert into forebay.epochs (topic, partition, epoch, first_offset) select topic, partition, 2, 7 from forebay.positions`
    await sql`update forebay.positions set epoch = 2, next_offset = 7`
    await until(async () => (await ask({ 'Forebay-After': token })).text.includes('log began anew'))
    await sql`update forebay.epochs set first_offset = 42`
    await sql`update forebay.positions set next_offset = 42`
    await until(async () => code(await ask({ 'Forebay-After': token, 'Forebay-On-Stale': 'fail' }))[1] === null)
  })

  test('C27 of a log too deep to be read for its offsets, origins tell', async () => {
    await world.database.sql`
      insert into forebay.dirty (slot, generation, path, shard, keys, n, origin, offsets)
      select 0, ${generation}, 0, 0, '[]', 1, clock_timestamp(), '{"sales.orders":{"0":"42"}}' from generate_series(1, 1001)`
    await apply('sales.orders', 60)
    const fail = { 'Forebay-After': 'at:sales.orders-0-60', 'Forebay-On-Stale': 'fail' }
    await until(async () => code(await ask(fail))[1] === 'STALE')
    await until(async () => (await ask(fail)).text.includes('not yet worked in'))
    const waiting = ask({ 'Forebay-After': 'at:sales.orders-0-60', 'Forebay-Wait': '10s' })
    await until(async () => (await ownMetric('forebay_freshness_waiting')) === 1)
    // On and on, as ingest does: since when the position is applied, is known to a tenth of a second.
    let answered = false
    const answer = waiting.finally(() => {
      answered = true
    })
    await until(async () => {
      await world.database.sql`update forebay.positions set frontier = clock_timestamp()`
      await world.database.sql`update forebay.dirty set origin = clock_timestamp()`
      return answered
    })
    expect(code(await answer)).toEqual([200, null])
  })
})

test('headers that ask nothing that makes sense are refused before anything is read', async () => {
  world.statements()
  const answer = await ask({ 'Forebay-Wait': '1 hour' })
  expect(code(answer)).toEqual([400, 'BAD_USER_INPUT'])
  expect(answer.body.errors[0].message).toBe(
    'The header Forebay-Wait is "1 hour"; allowed is a duration of at most 10s, such as 500ms or 2s.',
  )
  expect(world.statements()).toEqual([])
})
