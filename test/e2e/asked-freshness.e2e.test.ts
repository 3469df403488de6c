/**
 * C27 and C28 with everything running: what was written before a request is in its answer, where the request asks for that, whichever log it is,
 * though nobody waits in between.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { append } from '../../src/ingest/source/journal.ts'
import { type Client, kafkaClient, until } from '../kafka/client.ts'
import { makePlace, type Place, type Running, startForebay } from '../support/forebay.ts'
import { startKafka } from '../support/kafka.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'

const declaration = (topic: string) => `
extend enum Role { CLERK }
extend schema @domain(name: "shop", owner: "test", source: { format: JSON, naming: AS_IS })
type Item @entity(domain: "shop", key: "id", shared: true, source: { topic: "${topic}" }) { id: ID! n: Int! }
type Sheet @view(of: "Item", maxLag: "PT10S") @allow(roles: [CLERK]) { id: ID! n: Int! }
`
type Written = { readonly partition: number; readonly offset: string }
type Log = { readonly topic: string; readonly env: Record<string, string>; write(n: number): Promise<Written> }

let database: Database
let kafka: Client
const ends: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

const logs: Readonly<Record<string, () => Promise<Log>>> = {
  journal: async () => ({
    topic: 'items',
    env: {},
    write: async (n) => {
      const record = { key: Buffer.from('"a"'), value: Buffer.from(JSON.stringify({ id: 'a', n })) }
      const [written] = await database.sql.begin((tx) => append(tx, 'items', [record]))
      return { partition: written!.partition, offset: String(written!.offset) }
    },
  }),
  Kafka: async () => {
    const { brokers, stop } = await startKafka()
    ends.push(stop)
    kafka = await kafkaClient([...brokers])
    ends.push(() => kafka.close())
    const topic = await kafka.topic(2)
    return {
      topic,
      env: { KAFKA_BROKERS: brokers.join(','), KAFKA_GROUP: topic },
      write: async (n) => {
        const messages = [{ key: '"a"', value: JSON.stringify({ id: 'a', n }) }]
        const [sent] = await kafka.producer.send({ topic, messages })
        return { partition: sent!.partition, offset: sent!.baseOffset! }
      },
    }
  },
}

describe.each(Object.keys(logs))('%s', (kind) => {
  let log: Log
  let place: Place
  let forebay: Running
  beforeAll(async () => {
    database = await freshDatabase()
    const { drop } = database
    ends.push(drop)
    log = await logs[kind]!()
    const made = await makePlace(declaration(log.topic))
    place = { ...made, env: { ...made.env, ...log.env, DATABASE_URL: database.url } }
    ends.push(place.remove)
    forebay = await startForebay(place)
    ends.push(() => forebay.child.stop())
    await until(async () => (await forebay.readyz()).status === 200, 'ready')
  }, 120_000)

  const ask = (headers: Readonly<Record<string, string>>) =>
    forebay.ask('{ sheet(id: "a") { n } }', { roles: ['CLERK'] }, headers)

  test('C28 STRONG shows what was in the log when it was asked', async () => {
    for (let n = 1; n <= 20; n++) {
      await log.write(n)
      const { body } = await ask({ 'Forebay-Consistency': 'strong', 'Forebay-Wait': '10s' })
      expect(body.errors).toBeUndefined()
      expect(body.data.sheet.n).toBe(n)
      expect(body.extensions.freshness.met).toBe(true)
    }
  }, 60_000)

  test('C27 a writer reads its own write by the position that it minted', async () => {
    for (let n = 101; n <= 120; n++) {
      const { partition, offset } = await log.write(n)
      const { body } = await ask({
        'Forebay-After': `at:${log.topic}-${partition}-${offset}`,
        'Forebay-Wait': '10s',
      })
      expect(body.errors).toBeUndefined()
      expect(body.data.sheet.n).toBe(n)
    }
  }, 60_000)

  test('what is asked to be fresher than observations come is had by asking once more', async () => {
    for (let n = 201; n <= 210; n++) {
      await log.write(n)
      const { body } = await ask({ 'Forebay-Max-Staleness': '0s', 'Forebay-Wait': '10s' })
      expect(body.data?.sheet.n).toBe(n)
    }
  }, 60_000)
})
