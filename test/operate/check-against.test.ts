/** `forebay check --against`: the real captured schemas, and what was changed in them. */
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { registryClient } from '../../src/ingest/registry/client.ts'
import { checkAgainst, type Finding } from '../../src/operate/check-against.ts'
import { capturedSchemas } from '../ingest/registered.ts'
import { loadModel } from '../law/model.ts'
import { runCli } from '../platform/run-cli.ts'
import { type Registry, startRegistry } from '../support/registry.ts'

let registry: Registry
beforeAll(async () => {
  registry = await startRegistry()
  const captured = capturedSchemas()
  for (const [topic, key, value] of [
    ['odda.public.types_t', '1', '2'],
    ['odda.Mixed_Case.Order_Items', '9', '10'],
  ] as const) {
    registry.register(`${topic}-key`, captured[key])
    registry.register(`${topic}-value`, captured[value])
  }
  registry.register('odda.sales.customers.Envelope', captured['12'])
})
afterAll(() => registry.stop())

const folder = (entity: string, rest = ''): string => `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "test", source: { format: DEBEZIUM_AVRO })
${entity}
type V @view(of: "T") @allow(roles: [READER]) { id: ID! ${rest} }
`
const types = (fields: string): string =>
  `type T @entity(domain: "shop", key: "id", source: { topic: "odda.public.types_t" }) { id: ID! ${fields} }`
const judged = async (text: string): Promise<readonly Finding[]> => {
  const client = registryClient({ urls: [registry.url] })
  try {
    return (await checkAgainst(await loadModel(text), client)).findings
  } finally {
    client.close()
  }
}
const short = (findings: readonly Finding[]): readonly string[] =>
  findings.map(({ level, coordinate, problem }) => `${level} ${coordinate} ${problem}`)

describe('what fits', () => {
  test('every type of a real table, declared as it is, has no finding', async () => {
    const fields = `si: Int, i: Int, bi: Long, num: Decimal, num2: Decimal @column(scale: 4), r: Float, b: Boolean, t: String, by: String
      u: ID, js: JSON, jb: JSON, da: Date, ts: DateTime, ts0: DateTime, tstz: DateTime, ia: [Int!], ta: [String!], na: [Decimal!]
      pt: JSON, x: Float @column(name: "pt.x")`
    expect(await judged(folder(types(fields)))).toEqual([])
  })

  test('fact 16 names that Avro can not hold are found', async () => {
    const entity = `type T @entity(domain: "shop", key: ["id", "lineNo"], source: { topic: "odda.Mixed_Case.Order_Items" }) {
      id: ID! @column(name: "Order Id"), lineNo: Int! @column(name: "lineNo"), quantity: Decimal @column(name: "Qty", scale: 3) }`
    expect(await judged(folder(entity))).toEqual([])
  })
})

describe('what does not', () => {
  test('of a CloudEvent the schema is that of its data', async () => {
    registry.register('notes-value', { type: 'record', name: 'Note', fields: [{ name: 'id', type: 'string' }] })
    const event = (
      fields: string,
    ) => `type T @entity(domain: "shop", key: "id", source: { topic: "notes", format: CLOUDEVENTS_AVRO
      typeAt: "type", events: [{ type: "added", op: UPSERT, map: { at: "time" } }] }) { id: ID! at: DateTime ${fields} }`
    expect(await judged(folder(event('')))).toEqual([])
    expect(short(await judged(folder(event('text: String!'))))).toEqual(['error T.text has no field text to come from'])
  })

  const cases: readonly [string, string, string, readonly (string | RegExp)[]][] = [
    [
      'a field that a view reads and the schema lacks',
      'gone: String',
      'gone: String',
      [/^error T\.gone has no field gone to come from$/],
    ],
    ['a field that nothing reads and the schema lacks', 'gone: String', '', [/^warning T\.gone has no field/]],
    [
      'a type that never converts',
      'b: DateTime',
      '',
      [/^error T\.b is DateTime, which b as boolean never converts to$/],
    ],
    [
      'a time of day as an instant',
      'ti: DateTime',
      '',
      [/^error T\.ti is DateTime, which ti as int32 \(io\.debezium\.time\.Time\) never/],
    ],
    ['a type that may not convert', 't: Int', '', [/^warning T\.t is Int, which not every string at t converts to$/]],
    [
      'a scale that would cut digits',
      'num2: Decimal @column(scale: 2)',
      '',
      [/^warning T\.num2 is Decimal, which not every bytes/],
    ],
    ['a field that may be null', 'i: Int!', '', [/^warning T\.i is declared non-null, and i may be null$/]],
  ]
  for (const [what, fields, used, expected] of cases) {
    test(what, async () => {
      const found = short(await judged(folder(types(fields), used)))
      expect(found).toEqual(expected.map((text) => expect.stringMatching(text)))
    })
  }

  test('texts that the enum lacks are errors, unless another value takes them', async () => {
    const mood = (other: string) => `enum Mood { SAD OK ${other} }`
    expect(short(await judged(folder(types('mo: Mood') + mood(''))))).toEqual([
      `error T.mo may be it's "fine" at mo, which no value takes`,
    ])
    expect(short(await judged(folder(types('mo: Mood') + mood('ELSE @value(other: true)'))))).toEqual([
      `warning T.mo may be it's "fine" at mo, which become ELSE`,
    ])
  })

  test('a key that is not the record’s', async () => {
    const source = 'source: { topic: "odda.Mixed_Case.Order_Items" }'
    const half = `type T @entity(domain: "shop", key: "id", ${source}) { id: ID! @column(name: "Order Id") }`
    expect(short(await judged(folder(half)))).toEqual([
      'error T has rows of one key that the source has several of, by lineNo too',
    ])
    const wrong = `type T @entity(domain: "shop", key: ["id", "quantity"], ${source}) {
      id: ID! @column(name: "Order Id"), quantity: Decimal! @column(name: "Qty") }`
    expect(short(await judged(folder(wrong)))).toEqual([
      'warning T.quantity is declared non-null, and Qty may be null',
      "error T.quantity is a key, which the record's key lacks",
      'error T has rows of one key that the source has several of, by lineNo too',
    ])
  })

  test('a version that the schema lacks', async () => {
    const entity =
      'type T @entity(domain: "shop", key: "id", source: { topic: "odda.public.types_t", version: "rev" }) { id: ID! }'
    expect(short(await judged(folder(entity)))).toEqual(['error T has no field rev for its version'])
  })
})

describe('which schema', () => {
  test('a subject named after its record is found for Debezium', async () => {
    const entity =
      'type T @entity(domain: "shop", key: "id", source: { topic: "odda.sales.customers" }) { id: ID!, nowhere: Int! }'
    const [finding] = await judged(folder(entity))
    expect(finding).toMatchObject({ level: 'error', coordinate: 'T.nowhere', subject: 'odda.sales.customers.Envelope' })
  })

  test('one that can not be told is said, and why', async () => {
    const entity = 'type T @entity(domain: "shop", key: "id", source: { topic: "events", format: AVRO }) { id: ID! }'
    expect(short(await judged(folder(entity)))).toEqual([
      "warning T can't be judged: the registry has no subject events-value; one named after its record alone can't be told",
    ])
  })
})

describe('the command', () => {
  const run = async (text: string, ...args: readonly string[]) => {
    const at = await mkdtemp(join(tmpdir(), 'forebay-check-'))
    await writeFile(join(at, 'shop.graphql'), text)
    return { at, ...(await runCli(['check', at, ...args], { FOREBAY_LOG: 'silent' }, at)) }
  }
  const faulty = folder(types('\n  b: DateTime'))

  test('prints each with its place, its subject and a remedy, and exits with 1', async () => {
    const { code, stdout } = await run(faulty, '--against', registry.url)
    const [line] = stdout.split('\n')
    expect(line).toMatch(
      /shop\.graphql:\d+:3: error: T\.b is DateTime, which b as boolean never converts to in odda\.public\.types_t-value version 1 \(schema 2\)\. Declare the type/,
    )
    expect(code).toBe(1)
  })

  test('--json says the same, and 0 is without errors', async () => {
    const bad = await run(faulty, '--against', registry.url, '--json')
    expect(JSON.parse(bad.stdout)).toMatchObject({
      ok: false,
      findings: [{ coordinate: 'T.b', level: 'error', schema: 2 }],
    })
    expect((await run(folder(types('i: Int!')), '--against', registry.url)).code).toBe(0)
  })

  test('2: a registry that can not be asked, or no URL', async () => {
    const away = await run(faulty, '--against', 'http://127.0.0.1:9')
    expect(away).toMatchObject({ code: 2, stdout: expect.stringMatching(/Nothing was judged: .*can't be reached/) })
    expect(await run(faulty, '--against', 'registry')).toMatchObject({ code: 2 })
  })
})
