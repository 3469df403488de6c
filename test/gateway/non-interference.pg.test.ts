/**
 * Law 7: two databases that differ only in what a role may not see give that role byte-identical answers. Everything that the
 * role's own schema offers is asked: every field of every view, by key and in pages, under conditions and orders.
 */
import fc from 'fast-check'
import {
  buildClientSchema,
  type GraphQLNamedType,
  type GraphQLSchema,
  getIntrospectionQuery,
  getNamedType,
  isInputObjectType,
  isObjectType,
} from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { desk } from './support/desk.ts'
import { type Asker, type Rows, readModel, startWorld, type World } from './support/world.ts'

let left: World
let right: World
beforeAll(async () => {
  const model = await readModel('test/graphql/schema')
  left = await startWorld({ model, rows: desk })
  right = await startWorld({ model, rows: desk })
})
afterAll(async () => {
  await left.stop()
  await right.stop()
})

type Row = Readonly<Record<string, unknown>>
/** What of a customer a reader can't tell apart: the other tenant's rows, and these changes of their own tenant's. */
type Blind = { readonly customer: (row: Row, noise: string) => Row; readonly notes: boolean }

const letters = fc.stringMatching(/^[a-z]{3,9}$/)
const masked = (row: Row, noise: string): Row => ({
  ...row,
  email: `a${noise}@e${noise}.com`,
  phone: `+44 ${noise.length}${noise.length}1 234 0958`,
  street: `M${noise}`,
  card: `41111111${String(noise.length).repeat(4)}1111`,
  nationalId: `QQ${noise}6C`,
  bornOn: `1984-0${1 + (noise.length % 9)}-11`,
})
const hidden = (row: Row, noise: string): Row => ({
  ...masked(row, noise),
  email: `${noise}@${noise}.org`,
  phone: null,
  street: noise,
  card: null,
  bornOn: null,
})
const readers: readonly (readonly [string, Asker, Blind])[] = [
  ['AGENT', { roles: ['AGENT'] }, { customer: masked, notes: false }],
  ['FINANCE', { roles: ['FINANCE'] }, { customer: hidden, notes: true }],
  [
    'SERVICE',
    { roles: ['SERVICE'] },
    { customer: (row, noise) => ({ ...hidden(row, noise), email: row.email, bornOn: row.bornOn }), notes: true },
  ],
  [
    'CLERK of the north',
    { roles: ['CLERK'], claims: { region: 'north' } },
    {
      customer: (row, noise) =>
        row.region === 'north'
          ? { ...row, street: noise, fullName: noise, card: null, points: String(noise.length) }
          : {
              ...row,
              email: `${noise}@x.org`,
              phone: noise,
              fullName: noise,
              tier: noise.length % 2 ? 'GOLD' : 'BASIC',
            },
      notes: true,
    },
  ],
  [
    'AGENT and CLERK of the north',
    { roles: ['AGENT', 'CLERK'], claims: { region: 'north' } },
    {
      customer: (row, noise) => ({ ...masked(row, noise), ...(row.region === 'north' ? { email: row.email } : {}) }),
      notes: false,
    },
  ],
]

const worldRows = (noise: readonly string[], blind: Blind): Rows => {
  const customers = desk.Customer!.map((row, i) => {
    const some = noise[i % noise.length]!
    return row.tenantId === 'acme'
      ? blind.customer(row, some)
      : { ...row, fullName: some, points: String(some.length), region: some }
  })
  const text = noise[0]!
  const notes = desk.Note!.map((row) => (blind.notes ? { ...row, text, author: `${text}@n.org` } : row))
  const orders = desk.Order!.map((row) => ({
    ...row,
    ...(row.tenantId === 'acme' ? { payer: `p${text}@e${text}.com` } : { total: `${text.length}.50` }),
  }))
  return { ...desk, Customer: customers, Note: notes, Order: orders }
}
/** Tokens stand for values: their owner's payers stay as they are. */
const keepTokens = (rows: Rows, asker: Asker): Rows =>
  asker.roles?.includes('SERVICE') ? { ...rows, Order: desk.Order! } : rows

// ── everything a role can ask ───────────────────────────────────────────────────────────────────────────────────────
const everything = (type: GraphQLNamedType, depth = 0): string => {
  if (!isObjectType(type)) return ''
  const fields = Object.values(type.getFields()).filter(({ name }) => name !== '_freshness')
  const picked = fields.filter((field) => depth < 4 || !isObjectType(getNamedType(field.type)))
  return ` { ${picked.map((field) => field.name + everything(getNamedType(field.type), depth + 1)).join(' ')} }`
}
const searches = (schema: GraphQLSchema, view: string): readonly string[] => {
  const fieldsOf = (name: string) => {
    const type = schema.getType(name)
    return isInputObjectType(type) ? Object.values(type.getFields()) : []
  }
  const orders = fieldsOf(`${view}OrderBy`).flatMap(({ name }) => [
    `orderBy: { ${name}: ASC }`,
    `orderBy: { ${name}: DESC }, first: 2`,
  ])
  const filters = fieldsOf(`${view}Where`).flatMap(({ name, type }) => {
    const operators = getNamedType(type)
    const nullable =
      isInputObjectType(operators) && 'isNull' in operators.getFields() && !['and', 'or', 'not'].includes(name)
    return nullable ? [`where: { ${name}: { isNull: true } }`, `where: { not: { ${name}: { isNull: true } } }`] : []
  })
  return [...orders, ...filters]
}
const questions = (schema: GraphQLSchema): readonly string[] =>
  Object.values(schema.getQueryType()!.getFields()).flatMap((field) => {
    const type = getNamedType(field.type)
    if (type.name.endsWith('Connection')) {
      const all = everything(type)
      return ['', ...searches(schema, type.name.replace(/Connection$/, ''))].map(
        (args) => `{ ${field.name}${args && `(${args})`}${all} }`,
      )
    }
    if (!field.args.some(({ name }) => name === 'id') || field.name === 'node') return []
    return ['ada', 'bob', 'cyd', 'dan', 'eve', 'nobody'].map(
      (id) => `{ ${field.name}(id: "${id}")${everything(type)} }`,
    )
  })

describe('law 7 what a role may not see leaves no trace in its answers', () => {
  test.each(readers)('%s', async (_, asker, blind) => {
    const introspection = await left.ask(getIntrospectionQuery(), asker)
    const asked = questions(buildClientSchema(introspection.body.data))
    expect(asked.length).toBeGreaterThan(5)
    const bytes = async (world: World, query: string): Promise<string> => {
      const { status, body } = await world.ask(query, asker)
      expect(body.errors ?? []).toEqual([])
      return JSON.stringify({ status, data: body.data })
    }
    await fc.assert(
      fc.asyncProperty(
        fc.array(letters, { minLength: 3, maxLength: 5 }),
        fc.array(letters, { minLength: 3, maxLength: 5 }),
        async (one, other) => {
          await left.write(keepTokens(worldRows(one, blind), asker))
          await right.write(keepTokens(worldRows(other, blind), asker))
          for (const query of asked) expect(await bytes(left, query)).toBe(await bytes(right, query))
        },
      ),
      { numRuns: Number(process.env.FOREBAY_LAW_RUNS ?? 2) },
    )
  })

  test('and what it may see does', async () => {
    const [, asker, blind] = readers[0]!
    await left.write(worldRows(['abc'], blind))
    await right.write({ ...worldRows(['abc'], blind), Note: [{ ...desk.Note![0], text: 'another' }] })
    const query = '{ customerCard(id: "ada") { notes { text } } }'
    expect((await left.ask(query, asker)).body.data).not.toEqual((await right.ask(query, asker)).body.data)
  })
})
