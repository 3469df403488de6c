/** One view over a topic of Kafka and a table that a slot follows: two logs, one of which may stop without the other. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { beginAnew } from '../../src/ingest/feed/again.ts'
import { type Client, kafkaClient, until } from '../kafka/client.ts'
import { type KafkaService, startKafka } from '../support/kafka.ts'
import { type SourcePostgres, startSourcePostgres } from '../support/source-postgres.ts'
import { dropSlots, type Engine, engine, later, loseSlot, type Source, sourceOn, startHere } from './world.ts'

const declare = (topic: string, connection: string): string => `
extend enum Role { CLERK }
extend schema
  @domain(name: "shop", owner: "shop", source: { format: JSON, naming: AS_IS })
  @domain(name: "stock", owner: "stock", source: { connection: "${connection}" })
type Item @entity(domain: "shop", key: "id", source: { topic: "${topic}" }) {
  id: ID!
  label: String!
  lines: [Line!]! @join(to: "itemId")
}
type Line @entity(domain: "stock", key: ["itemId", "no"], source: { table: "lines" }) {
  itemId: ID!
  no: Int!
  amount: Int!
}
type ItemFile @view(of: "Item") @allow(roles: [CLERK]) {
  id: ID!
  label: String!
  total: Long! @sum(of: "lines.amount")
}
`
let server: SourcePostgres
let kafka: KafkaService
let client: Client
beforeAll(async () => {
  ;[server, kafka] = await Promise.all([startSourcePostgres(), startKafka()])
  client = await kafkaClient(kafka.brokers)
}, 120_000)
afterAll(async () => {
  await client?.close()
  await Promise.all([server?.stop(), kafka?.stop()])
})

type Row = { readonly id: string; readonly label: string; readonly total: string }
const untilFiles = async ({ sql }: Engine, labels: ReadonlyMap<string, string>, { sql: source }: Source) => {
  const wanted = async () => {
    const sums = await source<{ id: string; total: string }[]>`
      select item_id::text as id, sum(amount)::text as total from lines group by 1`
    const totals = new Map(sums.map(({ id, total }) => [id, total]))
    const rows = [...labels].map(([id, label]): Row => ({ id, label, total: totals.get(id) ?? '0' }))
    return rows.sort((a, b) => Number(a.id) - Number(b.id))
  }
  const found = async () => {
    const [view] = await sql<{ name: string }[]>`
      select format('forebay_view.item_file_%s', hash) as name from forebay.generations where state = 'ACTIVE'`
    return [...(await sql.unsafe<Row[]>(`select id, label, total::text from ${view!.name} order by id::int`))]
  }
  const equal = async () => JSON.stringify(await found()) === JSON.stringify(await wanted())
  await until(equal, 'equal', 30_000).catch(() => undefined)
  expect(await found()).toEqual(await wanted())
}

test('one view over Kafka and a slot: snapshot, changes, restarts, and a slot that is lost', {
  timeout: 120_000,
}, async () => {
  const source = later(await sourceOn(server.url), dropSlots)
  const connection = `c${randomBytes(4).toString('hex')}`
  const topic = await client.topic(4)
  const own = await engine(declare(topic, connection), { [connection]: source.url })
  const labels = new Map<string, string>()
  const label = async (from: number, to: number, text: string): Promise<void> => {
    for (let i = from; i <= to; i++) labels.set(String(i), text)
    const messages = [...labels]
      .slice(from - 1, to)
      .map(([id]) => ({ key: id, value: JSON.stringify({ id, label: text }) }))
    await client.producer.send({ topic, messages, acks: -1 })
  }
  await label(1, 100, 'first')
  await source.sql`insert into lines (item_id, no, amount) select i, n, i from generate_series(1, 100) i, generate_series(1, 3) n`
  const config = { kafkaBrokers: kafka.brokers, kafkaGroup: topic }
  const first = await startHere(own, config)
  await untilFiles(own, labels, source)
  await until(async () => (await first.ready()).ready, 'ready')
  const [bases] = await own.sql<{ log: number; source: number }[]>`
    select count(*) filter (where topic = ${topic} and frontier is not null and source_frontier is null)::int as log,
      count(*) filter (where topic <> ${topic} and source_frontier is not null)::int as source from forebay.positions`
  expect(bases).toEqual({ log: 4, source: 4 })

  await label(20, 60, 'second')
  await source.sql`update lines set amount = amount + 1 where item_id between 40 and 80`
  await source.sql`delete from lines where no = 3`
  await untilFiles(own, labels, source)
  await first.end()
  await label(61, 70, 'third')
  await source.sql`insert into lines (item_id, no, amount) select i, 9, 1 from generate_series(1, 50) i`
  const second = await startHere(own, config)
  await untilFiles(own, labels, source)

  // The table's topic stops; Kafka's goes on, and the view with it.
  await loseSlot(source)
  const stopped = async () => {
    const [row] = await own.sql<{ stuck: number; running: number }[]>`
      select count(*) filter (where state = 'STUCK')::int as stuck, count(*) filter (where state = 'RUNNING')::int as running from forebay.positions`
    return row!
  }
  await until(async () => (await stopped()).stuck === 4, 'stuck', 30_000)
  expect(await stopped()).toEqual({ stuck: 4, running: 4 })
  await label(1, 10, 'fourth')
  await until(
    async () => (await own.sql`select 1 from shop.item where label = 'fourth'`).length === 10,
    'Kafka goes on',
  )
  await source.sql`delete from lines where item_id <= 5`
  expect(await beginAnew(own.sql, connection, [`${connection}.public.lines`])).toBe(true)
  await untilFiles(own, labels, source)
  await until(async () => (await second.ready()).ready, 'ready again')
})
