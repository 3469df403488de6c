/** Every word of the language, directive by argument, input by field, enum by value, either is used in a folder that holds or is refused by name. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type ASTNode,
  buildASTSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isSpecifiedDirective,
  parse,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql'
import { beforeAll, describe, expect, test } from 'vitest'
import { formatFault, parseSchema } from '../../src/model/load.ts'
import { base, modelOf } from './folder.ts'

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const languageText = await readFile(at('schema/forebay.graphql'), 'utf8')
const language = buildASTSchema(parse(languageText), { assumeValid: true, assumeValidSDL: true })
/** A folder's own: roles, kinds of personal data. */
const own = ['Role', 'PiiKind']

const words: readonly string[] = [
  ...language
    .getDirectives()
    .filter((directive) => !isSpecifiedDirective(directive))
    .flatMap(({ name, args }) => [`@${name}`, ...args.map((arg) => `@${name}(${arg.name})`)]),
  ...Object.values(language.getTypeMap()).flatMap((type) => {
    if (type.name.startsWith('__') || own.includes(type.name)) return []
    if (isInputObjectType(type)) return Object.keys(type.getFields()).map((field) => `${type.name}.${field}`)
    return isEnumType(type) ? type.getValues().map((value) => `${type.name}.${value.name}`) : []
  }),
]

/** The words that a text uses. */
const used = (text: string): readonly string[] => {
  const found: string[] = []
  const types = new TypeInfo(language)
  const document: ASTNode = parse(text)
  visit(
    document,
    visitWithTypeInfo(types, {
      enter(node) {
        switch (node.kind) {
          case 'Directive':
            return void found.push(`@${node.name.value}`)
          case 'Argument':
            return void found.push(`@${types.getDirective()?.name}(${node.name.value})`)
          case 'ObjectField':
            return void found.push(`${getNamedType(types.getParentInputType())?.name}.${node.name.value}`)
          case 'EnumValue':
            return void found.push(`${getNamedType(types.getInputType())?.name}.${node.value}`)
          default:
        }
      },
    }),
  )
  return found
}

/** What the shop, Northwind and the GitHub-like folder have no use for. */
const rest = `
extend schema @domain(name: "rest", owner: "rest", contact: "#rest", source: { naming: UPPER_SNAKE })
type A @entity(domain: "rest", key: "id", conflict: EVENT_TIME, source: { topic: "a", format: AVRO, naming: AS_IS, time: "at", unit: MICROS, zone: "UTC" }) {
  id: ID!
  at: DateTime! @column(encoding: MICROS)
  second: DateTime @column(encoding: SECONDS)
  milli: DateTime @column(encoding: MILLIS)
  nano: DateTime @column(encoding: NANOS)
  day: Date @column(encoding: DAYS)
  text: DateTime @column(encoding: ISO8601)
  local: DateTime @column(encoding: LOCAL)
  bytes: Decimal @column(encoding: DECIMAL_BYTES)
  json: JSON @column(encoding: JSON_TEXT)
  auto: Int @column(encoding: AUTO)
  units: Int!
  bs: [B!]! @join(to: "id")
}
type B @entity(domain: "rest", key: ["id", "tag"], conflict: VERSION, source: { topic: "b", format: JSON_SCHEMA, naming: SNAKE_CASE, unit: SECONDS, version: "rev", each: "tags" }) { id: ID! tag: String! }
type C @entity(domain: "rest", key: "id", conflict: FIELD_CLOCK, source: { topic: "c", format: DEBEZIUM_AVRO, unit: NANOS }) { id: ID! }
type D @entity(domain: "rest", key: "id", conflict: OWNER, source: { topic: "d", format: CLOUDEVENTS_AVRO, owner: "me", typeAt: "type", events: [
  { type: "a", op: UPSERT, at: "data", map: { n: "x" }, set: { m: 1 } }, { type: "b", op: PATCH }, { type: "c", op: DELETE }] }) { id: ID! n: Int m: Int }
type E @entity(domain: "rest", key: "id", source: { connection: "rest", table: "e", watermark: "updated_at", every: "PT1S", overlap: "PT2S", sweep: "PT3S", unit: MILLIS, format: DEBEZIUM }) { id: ID! }
type F @entity(domain: "rest", key: "id", source: { topic: "f" }) {
  id: ID!
  owner: ID! @pii(kind: NAME, class: PERSONAL)
  at: DateTime!
  units: Int!
  aId: ID!
  a: A @join(from: "aId")
}
extend type A { fs: [F!]! @join(to: "aId") }
type Rest @view(of: "A", maxLag: "PT1S") @allow(roles: [AGENT], scopes: ["read"]) @rows(roles: [AGENT], where: { units: { gt: 1 } }) {
  id: ID!
  units: Int!
  mean: Decimal @avg(of: "fs.units", where: { units: { gt: 1 } }, window: { on: "at", last: "P1D" })
  least: Int @min(of: "fs.units", where: { units: { gt: 1 } })
  most: Int @max(of: "fs.units", where: { units: { lt: 9 } })
  minute: DateTime! @from(path: "at", bucket: { by: MINUTE })
  week: DateTime! @from(path: "at", bucket: { by: WEEK })
}
type Lately @view(of: "F", groupBy: ["aId"]) @allow(roles: [AGENT]) {
  aId: ID!
  day: Int! @count(window: { on: "at", last: "P1D", step: "PT1H" })
}
`
/** Its tenants make it a folder of its own. */
const tenanted = `
extend enum Role { AGENT }
extend schema @domain(name: "rest", owner: "rest")
type Own @entity(domain: "rest", key: "id", source: { topic: "own" }) { id: ID! org: ID! @tenant(claim: "org") }
`

const gateway = (more: string): string =>
  `type V @view(of: "Customer") @allow(roles: [AGENT]) @gateway(key: "id", active: {}, scopes: "id", routes: [{ path: "/", scopes: []${more.startsWith('route:') ? `, ${more.slice(6)}` : ''} }]${more && !more.startsWith('route:') ? `, ${more}` : ''}) { id: ID! }`
const slo = (argument: string): string =>
  `type V @view(of: "Customer") @allow(roles: [AGENT]) @slo(${argument}) { id: ID! }`
/** Refused by `check`, with each of its words. */
const refused: readonly string[] = [
  slo('fresh: 99.5'),
  slo('available: 99.5'),
  slo('p95: "PT1S"'),
  gateway(''),
  gateway('send: ["id"]'),
  gateway('limits: [{ field: "id", per: "PT1M" }]'),
  gateway('route:methods: ["GET"]'),
  gateway('route:open: "why"'),
  'extend schema @policy(role: ADMIN, reveal: [EMAIL])',
  'type Thing @entity(domain: "shop", key: "id", source: { topic: "t" }) { id: ID! x: String @pii(kind: EMAIL, class: RESTRICTED) }',
]
/** Stand on operations, not in a folder: the gateway refuses them by name (test/graphql/fresh-is-refused.test.graphql). */
const ofOperations = words.filter((word) => /^@fresh|^Consistency\.|^OnStale\./.test(word))

describe('every word of the language', () => {
  const seen = new Set<string>()
  beforeAll(async () => {
    for (const path of ['schema', 'test/schemas/northwind', 'test/schemas/github']) {
      const names = await readdir(at(path), { recursive: true })
      const files = await Promise.all(
        names
          .filter((name) => name.endsWith('.graphql'))
          .map(async (name) => ({ name: join(path, name), text: await readFile(join(at(path), name), 'utf8') })),
      )
      modelOf(await parseSchema(files))
      for (const { text } of files.filter((file) => !file.name.endsWith('forebay.graphql'))) {
        for (const word of used(text)) seen.add(word)
      }
    }
    modelOf(
      await parseSchema([
        { name: 'base.graphql', text: base },
        { name: 'rest.graphql', text: rest },
      ]),
    )
    modelOf(await parseSchema([{ name: 'own.graphql', text: tenanted }]))
    for (const word of [...used(rest), ...used(tenanted), ...used(base)]) seen.add(word)
  })

  test.each(refused)('is refused by name: %s', async (text) => {
    const loaded = await parseSchema([
      { name: 'base.graphql', text: base },
      { name: 'case.graphql', text },
    ])
    expect(
      loaded.ok ? [] : loaded.faults.map(formatFault).filter((line) => line.includes('not running yet')),
    ).toHaveLength(1)
  })

  test('runs, or is among those that are refused', () => {
    const told = new Set([...seen, ...refused.flatMap(used), ...ofOperations])
    expect(words.filter((word) => !told.has(word))).toEqual([])
  })

  test('is not both: what is refused stands in no folder that holds', () => {
    expect([...seen].filter((word) => /^@(slo|gateway|fresh)|^(Limit|Route)\.|^@policy\(reveal\)/.test(word))).toEqual(
      [],
    )
  })
})
