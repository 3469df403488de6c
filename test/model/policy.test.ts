import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { loadSchema, parseSchema } from '../../src/model/load.ts'
import type { Model } from '../../src/model/model.ts'
import { type Form, formOf, strongestForm } from '../../src/model/policy.ts'
import { base, modelOf } from './folder.ts'

const lineageOf = (model: Model, coordinate: string) => {
  const [type = '', name] = coordinate.split('.')
  return (model.views.get(type) ?? model.parts.get(type))?.fields.find((known) => known.name === name)?.lineage
}
const forms = (model: Model, coordinate: string, roles: readonly string[]): readonly Form[] => {
  const [type = '', name = ''] = coordinate.split('.')
  return roles.map((role) => formOf(model, type, name, role))
}

describe('CustomerOverview and what it shows', () => {
  let model: Model
  beforeAll(async () => {
    model = modelOf(await loadSchema(fileURLToPath(new URL('../../schema', import.meta.url))))
  })

  const roles = ['AGENT', 'FRAUD', 'FINANCE', 'GATEWAY', 'ADMIN', 'NOBODY']
  test.each<readonly [string, readonly Form[]]>([
    ['CustomerOverview.id', ['clear', 'clear', 'clear', 'hidden', 'hidden', 'hidden']],
    ['CustomerOverview.email', ['masked', 'clear', 'masked', 'hidden', 'hidden', 'hidden']],
    ['CustomerOverview.phone', ['masked', 'clear', 'hidden', 'hidden', 'hidden', 'hidden']],
    ['CustomerOverview.fullName', ['clear', 'clear', 'hidden', 'hidden', 'hidden', 'hidden']],
    ['CustomerOverview.nationalId', ['hidden', 'masked', 'hidden', 'hidden', 'hidden', 'hidden']],
    ['CustomerOverview.city', ['masked', 'clear', 'hidden', 'hidden', 'hidden', 'hidden']],
    ['CustomerOverview.lifetimeValue', ['hidden', 'hidden', 'clear', 'hidden', 'hidden', 'hidden']],
    ['CustomerOverview.recentTickets', ['clear', 'hidden', 'hidden', 'hidden', 'hidden', 'hidden']],
    ['CustomerOverview.nothing', ['hidden', 'hidden', 'hidden', 'hidden', 'hidden', 'hidden']],
    ['Nothing.email', ['hidden', 'hidden', 'hidden', 'hidden', 'hidden', 'hidden']],
  ])('%s is shown by policy and by lineage', (coordinate, expected) => {
    expect(forms(model, coordinate, roles)).toEqual(expected)
  })

  test('a part’s field is judged by its own lineage', () => {
    expect(forms(model, 'RecentTicket.subject', ['AGENT', 'FRAUD', 'FINANCE'])).toEqual(['clear', 'clear', 'hidden'])
    expect(forms(model, 'BoardShipment.city', ['WAREHOUSE', 'OPERATOR'])).toEqual(['clear', 'hidden'])
  })

  test('lineage names the column that the value comes from', () => {
    expect(lineageOf(model, 'CustomerOverview.city')).toEqual({
      tags: [{ kind: 'ADDRESS', class: 'PERSONAL', coordinate: 'Address.city' }],
      verbatim: true,
    })
    expect(lineageOf(model, 'OrderTimeline.customerName')?.tags).toEqual([
      { kind: 'NAME', class: 'PERSONAL', coordinate: 'Customer.fullName' },
    ])
  })

  test('a declassified value carries nothing on', () => {
    expect(lineageOf(model, 'ApiClientQuota.keyHash')?.tags).toEqual([])
    expect(forms(model, 'ApiClientQuota.keyHash', ['GATEWAY', 'AGENT'])).toEqual(['clear', 'hidden'])
  })
})

describe('lineage', () => {
  const view = async (fields: string): Promise<Model> =>
    modelOf(
      await parseSchema([
        { name: 'base.graphql', text: base },
        {
          name: 'case.graphql',
          text: `extend schema @policy(role: ADMIN, clear: [NAME, EMAIL, PHONE, CARD, SHOE_SIZE])
extend type Address { people: [Customer!]! @join(to: "homeId") lead: Customer @join(to: "homeId", pick: { email: ASC }) }
type V @view(of: "Address") @allow(roles: [ADMIN, AGENT, CLERK, AUDITOR]) { id: ID! ${fields} }
type Person @part(of: "Customer") { id: ID! }`,
        },
      ]),
    )

  test.each<readonly [string, string, readonly string[], boolean, readonly Form[]]>([
    [
      'a scalar of @first is verbatim',
      'x: String @first(of: "people.email", orderBy: { id: ASC })',
      ['Customer.email'],
      true,
      ['clear', 'masked', 'clear', 'hidden'],
    ],
    [
      'scalars of @list are verbatim',
      'x: [String!]! @list(of: "people.email", first: 3, orderBy: { id: ASC })',
      ['Customer.email'],
      true,
      ['clear', 'masked', 'clear', 'hidden'],
    ],
    [
      'what a tagged column ordered is not verbatim',
      'x: String @first(of: "people.email", orderBy: { name: ASC })',
      ['Customer.email', 'Customer.name'],
      false,
      ['clear', 'hidden', 'clear', 'hidden'],
    ],
    [
      'what a tagged column picked carries its tag',
      'x: ID @from(path: "lead.id")',
      ['Customer.email'],
      false,
      ['clear', 'hidden', 'clear', 'hidden'],
    ],
    [
      'rows that a tagged condition selects carry its tag',
      'x: [Person!]! @list(of: "people", where: { phone: { isNull: false } }, first: 3, orderBy: { id: ASC })',
      ['Customer.phone'],
      false,
      ['clear', 'hidden', 'hidden', 'hidden'],
    ],
    [
      'a count carries no tag of what it counts',
      'x: Int! @count(of: "people.card", distinct: true)',
      [],
      false,
      ['clear', 'clear', 'clear', 'clear'],
    ],
    [
      'a count carries the tags of its condition',
      'x: Int! @count(of: "people", where: { or: [{ name: { eq: "a" } }, { email: { eq: "b" } }] })',
      ['Customer.name', 'Customer.email'],
      false,
      ['clear', 'hidden', 'clear', 'hidden'],
    ],
    [
      'a maximum is derived',
      'x: String @max(of: "people.email")',
      ['Customer.email'],
      false,
      ['clear', 'hidden', 'clear', 'hidden'],
    ],
    [
      'a number is never verbatim',
      'x: [Int!]! @list(of: "people.shoeSize", first: 3, orderBy: { id: ASC })',
      ['Customer.shoeSize'],
      false,
      ['clear', 'hidden', 'hidden', 'hidden'],
    ],
    [
      'an expression is derived of all that it reads',
      'a: String @from(path: "lead.name") b: String @first(of: "people.email", orderBy: { id: ASC }) c: String @expr(sql: "a || b") x: Int @expr(sql: "length(c)")',
      ['Customer.name', 'Customer.email'],
      false,
      ['clear', 'hidden', 'clear', 'hidden'],
    ],
    [
      'a tag on an expression names its mask, and the least visible decides',
      'b: String @first(of: "people.email", orderBy: { id: ASC }) x: String @expr(sql: "lower(b)") @pii(kind: EMAIL)',
      ['V.x', 'Customer.email'],
      true,
      ['clear', 'masked', 'clear', 'hidden'],
    ],
    [
      'a tag on a view’s field is added',
      'x: String @first(of: "people.name", orderBy: { id: ASC }) @pii(kind: EMAIL)',
      ['V.x', 'Customer.name'],
      true,
      ['clear', 'masked', 'clear', 'hidden'],
    ],
    [
      'declassification ends the tags',
      'x: String @max(of: "people.email") @declassify(reason: "a test")',
      [],
      false,
      ['clear', 'clear', 'clear', 'clear'],
    ],
    [
      'declassification reaches what is computed of it',
      'b: String @max(of: "people.email") @declassify(reason: "a test") x: Int @expr(sql: "length(b)")',
      [],
      false,
      ['clear', 'clear', 'clear', 'clear'],
    ],
  ])('%s', async (_rule, field, coordinates, verbatim, expected) => {
    const model = await view(field)
    const lineage = lineageOf(model, 'V.x')
    expect(lineage?.tags.map(({ coordinate }) => coordinate)).toEqual(coordinates)
    if (coordinates.length > 0) expect(lineage?.verbatim).toBe(verbatim)
    expect(forms(model, 'V.x', ['ADMIN', 'AGENT', 'CLERK', 'AUDITOR'])).toEqual(expected)
  })

  test('a class above the role’s upTo hides the value', async () => {
    const model = modelOf(
      await parseSchema([
        { name: 'base.graphql', text: base },
        {
          name: 'case.graphql',
          text: `extend schema @policy(role: ADMIN, clear: [CARD]) @policy(role: AUDITOR, clear: [CARD], upTo: PERSONAL)
type V @view(of: "Customer") @allow(roles: [ADMIN, AUDITOR]) { id: ID! card: String }`,
        },
      ]),
    )
    expect(forms(model, 'V.card', ['ADMIN', 'AUDITOR'])).toEqual(['clear', 'hidden'])
  })
})

test('of several roles the strongest form holds, by the lattice hidden < masked < tokenized < clear', () => {
  expect(strongestForm(['hidden', 'masked'])).toBe('masked')
  expect(strongestForm(['tokenized', 'masked'])).toBe('tokenized')
  expect(strongestForm(['masked', 'clear', 'hidden'])).toBe('clear')
  expect(strongestForm([])).toBe('hidden')
})
