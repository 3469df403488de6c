import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kafkaSource } from '../../src/ingest/source/kafka.ts'
import type { LogSource } from '../../src/ingest/source.ts'
import { readConfig } from '../../src/platform/config.ts'
import { login, type SecureKafka, startSecureKafka } from '../support/secure-kafka.ts'
import { type Client, kafkaClient, until } from './client.ts'
import { type MemorySink, memorySink } from './memory-sink.ts'

let kafka: SecureKafka
let client: Client
beforeAll(async () => {
  kafka = await startSecureKafka()
  client = await kafkaClient(kafka.open)
})
afterAll(async () => {
  await client?.close()
  await kafka?.stop()
})

/** A source as the environment of an operator makes it. */
const start = async (env: Record<string, string>, topic: string, sink: MemorySink): Promise<LogSource> => {
  const { kafkaBrokers, kafkaSecurity } = readConfig({ KAFKA_BROKERS: kafka.secured[0]!, ...env })
  const source = kafkaSource({
    brokers: kafkaBrokers!,
    ...(kafkaSecurity ? { security: kafkaSecurity } : {}),
    topics: [topic],
    groupId: randomUUID(),
    maxLagMs: 2_000,
  })
  await source.start(sink)
  return source
}
const tls = () => ({ KAFKA_SSL: 'true', KAFKA_SSL_CA: kafka.ca })
const sasl = (mechanism: string, password = login.password) => ({
  KAFKA_SASL_MECHANISM: mechanism,
  KAFKA_SASL_USERNAME: login.username,
  KAFKA_SASL_PASSWORD: password,
})

test.each(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'])(
  'a broker that asks for TLS and SASL/%s is read',
  async (mechanism) => {
    const topic = await client.topic()
    await client.send(topic, ['a', 'b'])
    const sink = memorySink()
    const source = await start({ ...tls(), ...sasl(mechanism) }, topic, sink)
    await until(() => sink.values().length === 2, 'delivered')
    expect(source.status()).toBeUndefined()
    expect(await source.extents()).toMatchObject([{ topic, partition: 0, start: 0n, end: 2n }])
    await source.stop()
  },
)

const refused = /^the brokers refuse KAFKA_SASL_USERNAME with KAFKA_SASL_PASSWORD: .*[Aa]uthentication failed/
test.each([
  ['a wrong password', () => ({ ...tls(), ...sasl('PLAIN', 'hunter2') }), refused],
  ['a wrong password, by SCRAM', () => ({ ...tls(), ...sasl('SCRAM-SHA-256', 'hunter2') }), refused],
  [
    'a certificate that nobody vouches for',
    () => ({ KAFKA_SSL: 'true', ...sasl('PLAIN') }),
    /self-signed certificate.*KAFKA_SSL_CA/,
  ],
  ['plain text where TLS is asked for', () => sasl('PLAIN'), /Closed connection.*KAFKA_SSL/],
])('%s is said by the status, without the secret, and the wait ends with the source', async (_, env, said) => {
  const topic = await client.topic()
  const sink = memorySink()
  const source = await start(env(), topic, sink)
  await until(() => said.test(source.status() ?? ''), 'said', 30_000)
  await expect(source.extents()).rejects.toThrow()
  expect(source.status()).not.toContain('hunter2')
  const began = Date.now()
  await source.stop()
  expect(Date.now() - began).toBeLessThan(5_000)
  expect(sink.batches).toEqual([])
})
