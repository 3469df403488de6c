/** Every operator, and conditions made of them, against the same in JavaScript: the rows, in order, and their total. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { check } from '../law/runs.ts'
import { desk } from './support/desk.ts'
import { readModel, startWorld, type World } from './support/world.ts'

type Row = {
  readonly id: string
  readonly region: string | null
  readonly tier: string
  readonly createdAt: string
  readonly points: string
  readonly tags: readonly string[]
}
// By code point Z comes before a, and é after both; a pattern's signs mean themselves.
const regions = [null, 'east', 'East', 'Zw', 'éa', 'e%', 'e_', 'ea\\', '']
const customers = Array.from({ length: 60 }, (_, i) => ({
  ...desk.Customer![0],
  id: `${'abXé_'[i % 5]}${i}`,
  email: `c${i}@x.example`,
  phone: null,
  region: regions[i % regions.length]!,
  tier: i % 4 ? 'BASIC' : 'GOLD',
  points: ['-3', '0', '7', '10', '9007199254740993', '9007199254740992'][i % 6]!,
  createdAt: `2026-01-0${1 + (i % 5)}T00:00:00.00000${i % 7}Z`,
  tags: [[], ['vip'], ['vip', 'news'], ['n"ews', 'a,b']][i % 4]!,
})) satisfies readonly Row[]
let world: World
beforeAll(async () => {
  const elsewhere = customers.slice(0, 20).map((one) => ({ ...one, id: `g${one.id}`, tenantId: 'globex' }))
  world = await startWorld({
    model: await readModel('test/graphql/schema'),
    rows: { Customer: [...customers, ...elsewhere] },
  })
})
afterAll(() => world.stop())

// ── the oracle ──────────────────────────────────────────────────────────────────────────────────────────────────────
type Where = { readonly [name: string]: unknown }
const compareText = (a: string, b: string): number => {
  const [x, y] = [Buffer.from(a), Buffer.from(b)]
  return Buffer.compare(x, y)
}
const compare = (field: string, a: string, b: string): number =>
  field === 'points' ? (BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0) : compareText(a, b)

/** As the language says: two-valued; `ne` and `notIn` keep rows without a value, the others drop them. */
const meets = (field: string, value: string | null | readonly string[], op: string, operand: unknown): boolean => {
  const none = value === null
  switch (op) {
    case 'isNull':
      return operand === false ? !none : none
    case 'has':
      return Array.isArray(value) && value.includes(operand)
    case 'eq':
      return operand === null ? none : value === operand
    case 'ne':
      return operand === null ? !none : value !== operand
    case 'in':
      return !none && (operand as unknown[]).includes(value)
    case 'notIn':
      return none || !(operand as unknown[]).includes(value)
    case 'startsWith':
      return typeof value === 'string' && value.startsWith(String(operand))
  }
  if (typeof value !== 'string') return false
  const order = compare(field, value, String(operand))
  return op === 'lt' ? order < 0 : op === 'lte' ? order <= 0 : op === 'gt' ? order > 0 : order >= 0
}
const holds = (row: Row, where: Where): boolean =>
  Object.entries(where).every(([name, inner]) => {
    if (name === 'and') return (inner as Where[]).every((one) => holds(row, one))
    if (name === 'or') return (inner as Where[]).some((one) => holds(row, one))
    if (name === 'not') return !holds(row, inner as Where)
    return Object.entries(inner as Where).every(([op, operand]) => meets(name, row[name as keyof Row], op, operand))
  })

// ── what is asked ───────────────────────────────────────────────────────────────────────────────────────────────────
const values: Readonly<Record<string, fc.Arbitrary<string>>> = {
  region: fc.constantFrom('east', 'E', 'e', 'Zw', 'é', 'e%', 'e_', 'ea\\', '', 'nowhere'),
  tier: fc.constantFrom('BASIC', 'GOLD'),
  points: fc.constantFrom('-3', '0', '8', '9007199254740992', '9007199254740993', '9223372036854775807'),
  createdAt: fc.constantFrom('2026-01-02T00:00:00.000001Z', '2026-01-03T00:00:00.000002Z', '2025-12-31T00:00:00Z'),
}
const ordered = ['lt', 'lte', 'gt', 'gte']
const operators: Readonly<Record<string, readonly string[]>> = {
  region: ['eq', 'ne', 'in', 'notIn', 'isNull', ...ordered, 'startsWith'],
  tier: ['eq', 'ne', 'in', 'notIn', 'isNull'],
  points: ['eq', 'ne', 'in', 'notIn', 'isNull', ...ordered],
  createdAt: ['eq', 'ne', 'in', 'notIn', 'isNull', ...ordered],
  tags: ['has', 'isNull'],
}
const operand = (field: string, op: string): fc.Arbitrary<unknown> => {
  const value = values[field] ?? fc.constantFrom('vip', 'news', 'n"ews', 'a,b', 'b')
  if (op === 'isNull') return fc.boolean()
  if (op === 'in' || op === 'notIn') return fc.array(value, { maxLength: 4 })
  return op === 'eq' || op === 'ne' ? fc.option(value, { freq: 5 }) : value
}
const condition: fc.Arbitrary<Where> = fc.constantFrom(...Object.keys(operators)).chain((field) =>
  fc
    .uniqueArray(fc.constantFrom(...operators[field]!), { minLength: 1, maxLength: 2 })
    .chain((ops) => fc.record(Object.fromEntries(ops.map((op) => [op, operand(field, op)]))))
    .map((inner) => ({ [field]: inner })),
)
const { where } = fc.letrec<{ where: Where }>((tie) => ({
  where: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    { arbitrary: condition, weight: 3 },
    {
      arbitrary: fc.record({ or: fc.array(tie('where'), { maxLength: 3 }) }),
      weight: 1,
    },
    {
      arbitrary: fc.record({ and: fc.array(tie('where'), { maxLength: 3 }), not: tie('where') }, { requiredKeys: [] }),
      weight: 1,
    },
  ),
}))

const ask = async (input: Where) => {
  const { body } = await world.ask(
    `query ($where: CustomerCardWhere) {
      customerCards(where: $where, first: 100) { nodes { id } totalCount totalCountEstimated }
    }`,
    { roles: ['AGENT'] },
    { where: input },
  )
  expect(body.errors).toBeUndefined()
  return body.data.customerCards
}
const answer = (input: Where) => {
  const ids = customers.filter((row) => holds(row, input)).map(({ id }) => id)
  return {
    nodes: ids.sort(compareText).map((id) => ({ id })),
    totalCount: ids.length,
    totalCountEstimated: false,
  }
}

const each = Object.entries(operators).flatMap(([field, ops]) => ops.map((op) => [field, op] as const))
test.each(each)('%s %s selects what it says', async (field, op) => {
  const operands = fc.sample(operand(field, op), { numRuns: 4, seed: 7 })
  for (const one of operands)
    expect([one, await ask({ [field]: { [op]: one } })]).toEqual([one, answer({ [field]: { [op]: one } })])
})

test('and, or and not of them select what they say, and totals are of the same rows', async () => {
  await check(
    60,
    fc.asyncProperty(where, async (input) => {
      expect(await ask(input)).toEqual(answer(input))
    }),
  )
})
