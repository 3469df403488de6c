/** Laws 1 to 3 with a topic in every format that a source may have: the same history, whatever it is written in. */
import { expect, test } from 'vitest'
import { redelivered } from './change-arbitrary.ts'
import { withDatabase } from './engine.ts'
import { FORMATS, sourceWords } from './formats.ts'
import { isQuiet, runProcess } from './process.ts'
import { seed } from './runs.ts'
import { expectViewsEqualQuery, viewContents } from './tables.ts'

const COLUMNS = `kind: Kind!, qty: Int!, at: DateTime!, label: String, big: Long, amount: Decimal! @column(scale: 2), rate: Decimal, day: Date
  gone: Boolean!, tags: [String!]!, doc: JSON`
const FIELDS =
  'kind: Kind!, qty: Int!, at: DateTime!, label: String, big: Long, amount: Decimal!, rate: Decimal, day: Date, tags: [String!]!, doc: JSON'
const names = ['Ant', 'Bee', 'Cat', 'Dog', 'Elk', 'Fox', 'Gnu']

/** One entity a format, each pointing at the one before it, and views of all. */
const folder = `enum Kind { A B C OTHER @value(other: true) }
extend enum Role { READER }
extend schema @domain(name: "zoo", owner: "law")
${FORMATS.map((format, i) => {
  const name = names[i]!
  const before = names[i - 1]
  const pointer = before ? `parentId: Long, parent: ${before} @join(from: "parentId")` : ''
  const after = names[i + 1]
  const children = i + 1 < FORMATS.length ? `children: [${after}!]! @join(to: "parentId")` : ''
  const counted = children && 'count: Int! @count(of: "children"), total: Decimal! @sum(of: "children.amount")'
  return `type ${name} @entity(domain: "zoo", key: "id", deleted: { gone: { eq: true } }, source: { topic: "src.${name}", ${sourceWords(format)} }) {
  id: Long!, ${COLUMNS}
  ${pointer}
  ${children}
}
type ${name}View @view(of: "${name}") @allow(roles: [READER]) { id: Long!, ${FIELDS}, ${before ? 'parentLabel: String @from(path: "parent.label")' : ''} ${counted} }`
}).join('\n')}`

/** Another tape for each test, by the run's seed. */
const numbers = (test: number): readonly number[] =>
  Array.from({ length: 6000 }, (_, i) => Math.imul(i + 1 + 7919 * test, seed | 1) >>> 12)
const TIMEOUT = { timeout: 300_000 }

test('law 1 view = query, law 2 redelivery, in every format', TIMEOUT, () => {
  console.info(`FOREBAY_LAW_SEED=${seed}`)
  return withDatabase(folder, numbers(1), async (scene) => {
    await runProcess(scene)
    await expectViewsEqualQuery(scene.sql, scene.model, scene.rows)
    const before = await viewContents(scene.sql, scene.model)
    await runProcess({ ...scene, log: redelivered(scene.draw, scene.log) })
    expect(await viewContents(scene.sql, scene.model)).toEqual(before)
    const [bad] = await scene.sql<{ n: number }[]>`select count(*)::int as n from forebay.quarantine`
    expect(bad!.n).toBe(0)
  })
})

test('law 3 interleaving, in every format', TIMEOUT, () =>
  withDatabase(folder, numbers(2), async (scene) => {
    const ids = [...scene.log.keys()]
    const mine = new Set(scene.draw.some(ids))
    const others = new Set(ids.filter((id) => !mine.has(id)))
    await Promise.all([mine, others].map((owns) => runProcess({ ...scene, owns })))
    expect(await isQuiet(scene.sql)).toBe(true)
    await expectViewsEqualQuery(scene.sql, scene.model, scene.rows)
  }),
)
