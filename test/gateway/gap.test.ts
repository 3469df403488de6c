/** What a folder can't have from the table of another definition: above all values whose personal data its policy doesn't speak of. */
import { describe, expect, test } from 'vitest'
import { viewBasis } from '../../src/gateway/freshness/freshness.ts'
import { gapOf } from '../../src/gateway/freshness/gap.ts'
import { compileView } from '../../src/model/sql/compile-view.ts'
import { decodeView, encodeView, storedView } from '../../src/model/stored-view.ts'
import { loadModel } from '../law/model.ts'

const folder = `
extend enum Role { READER }
extend schema @domain(name: "shop", owner: "gap") @policy(role: READER, clear: [NAME])
type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID!
  tenantId: ID! @tenant
  name: String! @pii(kind: NAME)
  email: String @pii(kind: EMAIL)
  nick: String
  score: Int!
  region: String!
  orders: [Order!]! @join(to: "customerId")
}
type Order @entity(domain: "shop", key: "id", source: { topic: "orders" }) {
  id: ID!
  tenantId: ID! @tenant
  customerId: ID!
  total: Int!
  note: String
}
type Card @view(of: "Customer") @allow(roles: [READER]) {
  id: ID!
  shown: String @from(path: "name")
  score: Int
  region: String! @filter
  recent: [Bit!]! @list(of: "orders", first: 3, orderBy: { total: DESC })
}
type Bit @part(of: "Order") { id: ID! total: Int! }
`

/** What a gateway with `newer` lacks while `folder` serves. */
const gap = async (newer: (text: string) => string) => {
  const [was, is] = [await loadModel(folder), await loadModel(newer(folder))]
  const stored = storedView(was, compileView(was, was.views.get('Card')!))
  const found = gapOf(is, viewBasis(is, is.views.get('Card')!), decodeView(encodeView(stored)))
  return found && { ...found, fields: [...found.fields], unsearchable: [...found.unsearchable] }
}
const lacks = (...fields: string[]) => ({ fields, unsearchable: [] })

describe('what is the same', () => {
  test('nothing is missing, whatever was stored and read back', async () => {
    expect(await gap((text) => text)).toBeUndefined()
  })
  test('a value that may be null by now may have been one that never is', async () => {
    expect(await gap((text) => text.replace('region: String! @filter', 'region: String @filter'))).toBeUndefined()
  })
  test('a field or an element’s field that is gone is no loss to who no longer declares it', async () => {
    expect(
      await gap((text) => text.replace('  score: Int\n', '').replace('id: ID! total: Int! }', 'id: ID! }')),
    ).toBeUndefined()
  })
})

describe('what is not', () => {
  const cases: readonly (readonly [string, (text: string) => string, object])[] = [
    ['a field that is new', (text) => text.replace('  score: Int\n', '  score: Int\n  nick: String\n'), lacks('nick')],
    [
      'one of another type',
      (text) => text.replace('  score: Int\n', '  score: String @from(path: "nick")\n'),
      lacks('score'),
    ],
    ['one that is promised now', (text) => text.replace('  score: Int\n', '  score: Int!\n'), lacks('score')],
    [
      'one whose personal data comes from elsewhere: old values would pass by the policy of new ones',
      (text) => text.replace('@from(path: "name")', '@from(path: "nick")'),
      lacks('shown'),
    ],
    [
      'one that got its tag by now',
      (text) =>
        text
          .replace('  nick: String\n', '  nick: String @pii(kind: NAME)\n')
          .replace('@from(path: "name")', '@from(path: "nick")'),
      lacks('shown'),
    ],
    [
      'one that is shown by a condition now, which is worked into the table',
      (text) => text.replace('  score: Int\n', '  score: Int @allow(when: { region: { eq: "north" } })\n'),
      lacks('score'),
    ],
    ['elements that have more', (text) => text.replace('total: Int! }', 'total: Int! note: String }'), lacks('recent')],
    [
      'a field that is searched by now: no index is there',
      (text) => text.replace('  score: Int\n', '  score: Int @order\n'),
      { fields: [], unsearchable: ['score'] },
    ],
  ]
  test.each(cases)('%s', async (_, newer, wanted) => {
    const found = await gap(newer)
    expect(found).toEqual(wanted)
  })

  test('rows that a rule judges by a field that isn’t there: none can be shown', async () => {
    const found = await gap((text) =>
      text
        .replace(
          '@allow(roles: [READER]) {\n  id',
          '@allow(roles: [READER]) @rows(where: { nick: { eq: "x" } }) {\n  id',
        )
        .replace('  score: Int\n', '  score: Int\n  nick: String\n'),
    )
    expect(found?.whole).toBe('who may see its rows depends on nick, which is of another kind')
  })
})
