/** The registry's client against a real HTTP server: several addresses, credentials, TLS, and what each fault is called. */
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { RegistryError, registryClient } from '../../src/ingest/registry/client.ts'
import { guardRegistry } from '../../src/ingest/registry/guard.ts'
import { compileSchema } from '../../src/ingest/registry/schemas.ts'
import type { SchemaRegistry } from '../../src/platform/schema-registry.ts'
import { type Registry, registryCertificate, startRegistry } from '../support/registry.ts'

const schema = { type: 'record', name: 'Row', fields: [{ name: 'id', type: 'string' }] }
const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})
const registry = async (options: Parameters<typeof startRegistry>[0] = {}): Promise<Registry> => {
  const started = await startRegistry(options)
  closing.push(() => started.stop())
  return started
}
const client = (urls: readonly string[], more: Partial<SchemaRegistry> & { ca?: string; timeoutMs?: number } = {}) => {
  const { ca, timeoutMs, ...access } = more
  const opened = registryClient({ urls, ...access }, { ...(ca ? { ca } : {}), ...(timeoutMs ? { timeoutMs } : {}) })
  closing.push(() => opened.close())
  return opened
}
const failure = async (asked: Promise<unknown>): Promise<RegistryError> =>
  asked.then(
    (found) => expect.fail(`it answered ${JSON.stringify(found)}`),
    (error: unknown) => {
      expect(error).toBeInstanceOf(RegistryError)
      return error as RegistryError
    },
  )

describe('what is asked for', () => {
  test('a schema by its number and by its GUID, and the latest of a subject', async () => {
    const server = await registry()
    const { id, guid } = server.register('customers-value', schema)
    const { schema: ask, latest, subjects } = client([server.url])
    const found = { type: 'AVRO', text: JSON.stringify(schema), references: [] }
    expect(await ask(String(id))).toEqual(found)
    expect(await ask(guid)).toEqual(found)
    expect(await latest('customers-value')).toEqual({ ...found, id, version: 1 })
    expect(await subjects()).toEqual(['customers-value'])
    expect(await ask('99')).toBeUndefined()
    expect(await latest('orders-value')).toBeUndefined()
  })

  test('what it refers to comes with it, each before those that use it, and compiles', async () => {
    const server = await registry()
    const record = (name: string, type: string) => ({
      type: 'record',
      name,
      namespace: 'shop',
      fields: [{ name: 'x', type }],
    })
    server.register('inner', record('Inner', 'long'))
    server.register('middle', record('Middle', 'shop.Inner'), {
      references: [{ name: 'shop.Inner', subject: 'inner', version: 1 }],
    })
    const { id } = server.register('outer', record('Outer', 'shop.Middle'), {
      references: [
        { name: 'shop.Middle', subject: 'middle', version: 1 },
        { name: 'shop.Inner', subject: 'inner', version: 1 },
      ],
    })
    const found = await client([server.url]).schema(String(id))
    expect(found?.references.map(({ name }) => name)).toEqual(['shop.Inner', 'shop.Middle'])
    const known = compileSchema(found!, String(id))
    expect(known.kind === 'AVRO' && known.reader.read(Buffer.from([6]))).toEqual({ x: { x: { x: 3 } } })
  })

  test('a JSON Schema that refers to another document compiles', async () => {
    const server = await registry()
    server.register('money', { type: 'object', properties: { amount: { type: 'string' } } }, { type: 'JSON' })
    const outer = { type: 'object', properties: { price: { $ref: 'money.json#' } } }
    const references = [{ name: 'money.json', subject: 'money', version: 1 }]
    const { id } = server.register('outer', outer, { type: 'JSON', references })
    const known = compileSchema((await client([server.url]).schema(String(id)))!, String(id))
    expect(known).toMatchObject({
      kind: 'JSON',
      schema: { fields: [{ field: 'price', type: 'struct', fields: [{ field: 'amount', type: 'string' }] }] },
    })
  })

  test('a schema that can not be read by is known to be bad, and why', () => {
    const bad = (type: 'AVRO' | 'JSON' | 'PROTOBUF', text: string) => compileSchema({ type, text, references: [] }, '3')
    expect(bad('PROTOBUF', 'syntax = "proto3";')).toMatchObject({ kind: 'bad', reason: /PROTOBUF/ })
    expect(bad('AVRO', '{"type":"record","name":"R","fields":[{"name":"x","type":"Nowhere"}]}')).toMatchObject({
      kind: 'bad',
      reason: /is not valid AVRO/,
    })
    expect(bad('JSON', '{')).toMatchObject({ kind: 'bad', reason: /is not valid JSON/ })
  })
})

describe('credentials and TLS', () => {
  const basic = `Basic ${Buffer.from('user:p@ss').toString('base64')}`
  for (const [how, authorization, url, access] of [
    ['user and password', basic, (url: string) => url, { username: 'user', password: 'p@ss' }],
    ['user and password in the URL', basic, (url: string) => url.replace('://', '://user:p%40ss@'), {}],
    ['a token', 'Bearer t0ken', (url: string) => url, { token: 't0ken' }],
  ] as const) {
    test(`${how}, over TLS with a certificate of its own`, async () => {
      const server = await registry({ secure: true, authorization })
      server.register('customers-value', schema)
      const ca = readFileSync(registryCertificate, 'utf8')
      expect(await client([url(server.url)], { ...access, ca }).schema('1')).toMatchObject({ type: 'AVRO' })
    })
  }

  test('wrong credentials are refused by name, and never repeated', async () => {
    const server = await registry({ authorization: basic })
    const { kind, message } = await failure(client([server.url.replace('://', '://user:hunter2@')]).schema('1'))
    expect(kind).toBe('refused')
    expect(message).toMatch(/refuses the credentials \(401\): set SCHEMA_REGISTRY_USERNAME/)
    expect(message).not.toContain('hunter2')
  })

  test('a certificate that is not trusted is refused by name', async () => {
    const server = await registry({ secure: true })
    expect(await failure(client([server.url]).schema('1'))).toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(/not trusted .*SCHEMA_REGISTRY_CA/),
    })
  })
})

describe('faults', () => {
  for (const [what, fault, kind, message] of [
    ['a server error', 500, 'away', /answers 500/],
    ['too many requests', 429, 'away', /answers 429/],
    ['no answer in time', 'silent', 'away', /does not answer in time/],
    ['a 404 of something that is no registry', 'page', 'refused', /answers 404, but not as a registry would/],
  ] as const) {
    test(`${what} is ${kind}`, async () => {
      const server = await registry()
      server.register('customers-value', schema)
      server.fail(fault)
      const error = await failure(client([server.url], { timeoutMs: 150 }).schema('1'))
      expect(error).toMatchObject({ kind, message: expect.stringMatching(message) })
    })
  }

  test('the next address answers for one that is away, and goes first from then on', async () => {
    const [dead, alive] = [await registry(), await registry()]
    alive.register('customers-value', schema)
    await dead.stop()
    const { schema: ask } = client([dead.url, alive.url])
    expect(await ask('1')).toMatchObject({ type: 'AVRO' })
    await dead.start()
    expect(await ask('1')).toMatchObject({ type: 'AVRO' })
    expect(dead.requests).toEqual([])
  })

  test('a replica that does not have it yet does not speak for the others', async () => {
    const [behind, leader] = [await registry(), await registry()]
    leader.register('customers-value', schema)
    expect(await client([behind.url, leader.url]).schema('1')).toMatchObject({ type: 'AVRO' })
  })

  test('all away: what keeps each is said, what somebody must act on first', async () => {
    const [dead, locked] = [await registry(), await registry({ authorization: 'Bearer x' })]
    await dead.stop()
    closing.splice(0, 1)
    expect((await failure(client([locked.url, dead.url]).schema('1'))).message).toMatch(/refuses the credentials/)
    expect((await failure(client([dead.url]).schema('1'))).message).toMatch(/can't be reached \(ECONNREFUSED\)/)
  })
})

describe('a registry that is away', () => {
  test('is asked by one caller after a pause, the others are told at once why, and back it is asked by all', async () => {
    const server = await registry()
    const { id } = server.register('customers-value', schema)
    const guarded = guardRegistry(client([server.url]), 'registry')
    const ask = () => guarded.schema(String(id))
    server.fail(503)
    for (let i = 0; i < 3; i++) expect((await failure(ask())).kind).toBe('away')
    const before = server.requests.length
    const refused = await Promise.all(Array.from({ length: 50 }, () => failure(ask())))
    expect(server.requests.length - before).toBeLessThanOrEqual(2)
    expect(refused.at(-1)).toMatchObject({
      kind: 'away',
      message: expect.stringMatching(/^the schema registry at .* answers 503; it is asked again after a pause$/),
    })
    expect(guarded.trouble()).toMatch(/answers 503/)
    server.fail(undefined)
    await expect.poll(() => ask().catch(() => undefined)).toMatchObject({ type: 'AVRO' })
    expect(guarded.trouble()).toBeUndefined()
  })

  test('one that refuses, or has no such schema, is not away', async () => {
    const server = await registry({ authorization: 'Bearer right' })
    const guarded = guardRegistry(client([server.url], { token: 'wrong' }), 'registry')
    for (let i = 0; i < 5; i++) expect((await failure(guarded.schema('1'))).kind).toBe('refused')
    const known = guardRegistry(client([server.url], { token: 'right' }), 'registry')
    for (let i = 0; i < 5; i++) expect(await known.schema('1')).toBeUndefined()
    expect([guarded.trouble(), known.trouble()]).toEqual([undefined, undefined])
  })
})
