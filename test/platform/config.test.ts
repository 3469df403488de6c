import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ConfigError, readConfig } from '../../src/platform/config.ts'
import { usualHttp } from '../../src/platform/http-settings.ts'
import { usualJournal } from '../../src/platform/journal-settings.ts'

const faultsOf = (env: Record<string, string>, needs = {}): readonly string[] => {
  try {
    readConfig(env, needs)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

test('an empty environment gives the embedded parts, on loopback', () => {
  expect(readConfig({ DATABASE_URL: '', REDIS_URL: ' ' })).toEqual({
    schema: 'schema',
    port: 4000,
    host: '127.0.0.1',
    tombstoneTtl: 'P30D',
    rollbackWindowMs: 3_600_000,
    production: false,
    dataDir: '.forebay',
    quarantineCap: 1000,
    reconcileShare: 0.02,
    journal: usualJournal,
    http: usualHttp,
  })
})

test('every variable is read', () => {
  const config = readConfig({
    FOREBAY_SCHEMA: 'else',
    PORT: '0',
    HOST: '10.0.0.1',
    DATABASE_URL: 'postgres://u:p@h/d',
    DATABASE_READ_URL: 'postgresql://r/d, postgres://s/d',
    KAFKA_BROKERS: 'a:9092, [::1]:9093',
    SCHEMA_REGISTRY_URL: 'http://r:8081, https://u:p@s',
    SCHEMA_REGISTRY_USERNAME: 'u',
    SCHEMA_REGISTRY_PASSWORD: 'p',
    SCHEMA_REGISTRY_CA: '/ca.pem',
    REDIS_URL: 'rediss://h',
    FOREBAY_NEAR_CACHE_MB: '3',
    FOREBAY_ANSWER_CACHE_MB: '2',
    JWKS_URL: 'https://i/jwks',
    JWT_ISSUER: 'i',
    JWT_AUDIENCE: 'a',
    FOREBAY_SECRET: 's'.repeat(32),
    FOREBAY_DATA: '/data',
    FOREBAY_QUARANTINE_CAP: '7',
    FOREBAY_RECONCILE_SHARE: '0.5',
    FOREBAY_ROLLBACK_WINDOW: 'P1DT2H',
    FOREBAY_CONNECTION_CRM: 'postgres://u:p@crm/d',
    FOREBAY_JOURNAL_RETENTION: 'P2DT12H',
    FOREBAY_JOURNAL_ROOM_RECORDS: '9',
    FOREBAY_JOURNAL_ROOM_BYTES: '10',
    FOREBAY_SLOT_RETAINED_BYTES: '11',
    FOREBAY_DRAIN_NOTICE: 'PT10S',
    FOREBAY_TRUSTED_DOCUMENTS: 'web.json, app.json',
    FOREBAY_CORS_ORIGINS: 'https://console.example, http://localhost:5173',
    NODE_ENV: 'production',
  })
  expect(config).toEqual({
    schema: 'else',
    port: 0,
    host: '10.0.0.1',
    databaseUrl: 'postgres://u:p@h/d',
    databaseReadUrls: ['postgresql://r/d', 'postgres://s/d'],
    kafkaBrokers: ['a:9092', '[::1]:9093'],
    schemaRegistry: { urls: ['http://r:8081', 'https://u:p@s'], username: 'u', password: 'p', ca: '/ca.pem' },
    trustedDocuments: ['web.json', 'app.json'],
    redisUrl: 'rediss://h',
    nearCacheBytes: 3 * 2 ** 20,
    answerCacheBytes: 2 * 2 ** 20,
    jwksUrl: 'https://i/jwks',
    jwtIssuer: 'i',
    jwtAudience: 'a',
    secret: 's'.repeat(32),
    dataDir: '/data',
    quarantineCap: 7,
    reconcileShare: 0.5,
    tombstoneTtl: 'P30D',
    rollbackWindowMs: 26 * 3_600_000,
    connections: { crm: 'postgres://u:p@crm/d' },
    journal: { retention: 'P2DT12H', room: { records: 9, bytes: 10 }, slotRetained: 11 },
    http: { drainNoticeMs: 10_000, origins: ['https://console.example', 'http://localhost:5173'] },
    production: true,
  })
})

test('all faults are named at once, each with what to write, and no value of a URL is repeated', () => {
  const faults = faultsOf(
    {
      DATABASE_URL: 'mysql://root:hunter2@h/d',
      DATABASE_READ_URL: 'hunter2',
      KAFKA_BROKERS: 'hunter2@kafka:9092,kafka',
      SCHEMA_REGISTRY_URL: 'ftp://r',
      SCHEMA_REGISTRY_TOKEN: 'hunter2',
      SCHEMA_REGISTRY_USERNAME: 'hunter2',
      REDIS_URL: 'http://:hunter2@r',
      JWT_ISSUER: 'i',
      FOREBAY_SECRET: 'hunter2',
      PORT: '99999',
      FOREBAY_RECONCILE_SHARE: '2',
      FOREBAY_NEAR_CACHE_MB: '0',
      FOREBAY_ANSWER_CACHE_MB: '1.5',
      FOREBAY_DRAIN_NOTICE: 'PT1H',
      FOREBAY_CORS_ORIGINS: 'https://console.example/app',
      NODE_ENV: 'prod',
    },
    { always: ['JWKS_URL'] },
  )
  const names = faults.map((fault) => fault.split(' ')[0])
  expect(new Set(names)).toEqual(
    new Set([
      'DATABASE_URL',
      'DATABASE_READ_URL',
      'KAFKA_BROKERS',
      'SCHEMA_REGISTRY_URL',
      'SCHEMA_REGISTRY_TOKEN',
      'SCHEMA_REGISTRY_USERNAME',
      'REDIS_URL',
      'JWT_ISSUER',
      'FOREBAY_SECRET',
      'PORT',
      'FOREBAY_NEAR_CACHE_MB',
      'FOREBAY_ANSWER_CACHE_MB',
      'FOREBAY_RECONCILE_SHARE',
      'FOREBAY_DRAIN_NOTICE',
      'FOREBAY_CORS_ORIGINS',
      'NODE_ENV',
      'JWKS_URL',
    ]),
  )
  expect(faults.join()).not.toContain('hunter2')
  for (const fault of faults) expect(fault).toMatch(/; \S/)
})

test('how brokers are reached is read, certificates from their files', () => {
  const ca = join(mkdtempSync(join(tmpdir(), 'forebay-ca-')), 'ca.pem')
  writeFileSync(ca, '-----BEGIN CERTIFICATE-----\n')
  const { kafkaSecurity } = readConfig({
    KAFKA_BROKERS: 'a:9092',
    KAFKA_SSL: 'true',
    KAFKA_SSL_CA: ca,
    KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
    KAFKA_SASL_USERNAME: 'u',
    KAFKA_SASL_PASSWORD: 'p',
  })
  expect(kafkaSecurity).toEqual({
    tls: { ca: expect.stringMatching(/^-----BEGIN CERTIFICATE-----/) },
    sasl: { mechanism: 'SCRAM-SHA-512', username: 'u', password: 'p' },
  })
  expect(readConfig({ KAFKA_BROKERS: 'a:9092', KAFKA_SSL: 'false' }).kafkaSecurity).toEqual({})
})

test.each([
  [{ KAFKA_SSL: 'yes' }, ['KAFKA_SSL']],
  [{ KAFKA_SSL_CA: '/hunter2' }, ['KAFKA_SSL_CA', 'KAFKA_SSL_CA']],
  [{ KAFKA_SSL: 'true', KAFKA_SSL_CA: 'package.json' }, ['KAFKA_SSL_CA']],
  [{ KAFKA_SSL: 'true', KAFKA_SSL_KEY: '/hunter2' }, ['KAFKA_SSL_KEY', 'KAFKA_SSL_CERT']],
  [{ KAFKA_SASL_MECHANISM: 'PLAIN' }, ['KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD']],
  [{ KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'hunter2' }, ['KAFKA_SASL_MECHANISM']],
  [
    { KAFKA_SASL_MECHANISM: 'hunter2', KAFKA_SASL_USERNAME: 'hunter2', KAFKA_SASL_PASSWORD: 'hunter2' },
    ['KAFKA_SASL_MECHANISM'],
  ],
  [{ KAFKA_BROKERS: '', KAFKA_SSL: 'true' }, ['KAFKA_SSL']],
])('the security %j is refused by name, its values are not repeated', (env, names) => {
  const faults = faultsOf({ KAFKA_BROKERS: 'a:9092', ...env })
  expect(faults.map((fault) => fault.split(' ')[0])).toEqual(names)
  expect(faults.join()).not.toContain('hunter2')
  for (const fault of faults) expect(fault).toMatch(/; \S/)
})

test.each(['', ' ', '-1', '1.5', '4000x', '65536', 'http'])('the port %j is judged', (PORT) => {
  expect(faultsOf({ PORT })).toHaveLength(PORT.trim() === '' ? 0 : 1)
})

test.each(['kafka', 'kafka:', 'kafka:0', 'kafka:70000', 'http://kafka:9092', ',', 'a:1 b:2'])(
  'the brokers %j are refused',
  (KAFKA_BROKERS) => {
    expect(faultsOf({ KAFKA_BROKERS })).toHaveLength(1)
  },
)

test('a key set without issuer and audience is refused, since any of its tokens would do', () => {
  expect(faultsOf({ JWKS_URL: 'https://i/jwks' }).map((fault) => fault.split(' ')[0])).toEqual([
    'JWT_ISSUER',
    'JWT_AUDIENCE',
  ])
})

test('what only production needs is asked for only there', () => {
  const needs = { production: ['JWKS_URL', 'FOREBAY_SECRET'] as const }
  expect(faultsOf({}, needs)).toEqual([])
  expect(faultsOf({ NODE_ENV: 'production' }, needs)).toHaveLength(2)
})

test('C18 tombstones must outlive the journal’s records', () => {
  const faults = (ttl: string, retention?: string) =>
    faultsOf({ FOREBAY_TOMBSTONE_TTL: ttl, ...(retention ? { FOREBAY_JOURNAL_RETENTION: retention } : {}) })
  expect(faults('P6D')).toEqual([
    expect.stringMatching(/P6D, less than the P7D .*FOREBAY_JOURNAL_RETENTION.*write P7D/),
  ])
  expect(faults('P6DT23H59M59S', 'P1W')).toHaveLength(1)
  expect(faults('P1W')).toEqual([])
  expect(faults('PT36H', 'P1DT12H')).toEqual([])
  expect(faults('P1M')).toEqual([expect.stringContaining('not an ISO 8601 duration')])
})

test('a Redis Cluster is named by some of its nodes, each with its port', () => {
  const good = [
    'redis-cluster://a:1,b:2',
    'rediss-cluster://u:hunter2@a:1',
    'redis-cluster://[::1]:7000,10.0.0.1:7001/',
  ]
  for (const REDIS_URL of good) expect(readConfig({ REDIS_URL }).redisUrl).toBe(REDIS_URL)
  for (const REDIS_URL of [
    'redis-cluster://',
    'redis-cluster://u:hunter2@a',
    'redis-cluster://a:1,b',
    'redis-cluster://a:99999',
  ]) {
    const faults = faultsOf({ REDIS_URL })
    expect(faults, REDIS_URL).toEqual([expect.stringContaining('host:port; write one like redis-cluster://')])
    expect(faults.join()).not.toContain('hunter2')
  }
})
