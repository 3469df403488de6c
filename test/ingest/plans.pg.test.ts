/** Maintenance finds rows by key, however large the tables become: its plans are made once, and may be made while they are empty. */
import { afterEach, expect, test } from 'vitest'
import { byKey, plans } from '../../src/ingest/session-settings.ts'
import { formatFault, loadSchema } from '../../src/model/load.ts'
import { compileView } from '../../src/model/sql/compile-view.ts'
import { connect } from '../../src/platform/postgres.ts'
import { openEngine } from '../law/engine.ts'
import { loadModel } from '../law/model.ts'

type Plan = {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Cond'?: string
  readonly Plans?: readonly Plan[]
}
const nodes = (plan: Plan): readonly Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)]
/** Reads a table other than by an index's condition, or a row's own place. */
const readsAll = (node: Plan): boolean =>
  node['Node Type'] === 'Seq Scan' ||
  (/^(Index|Bitmap Index)/.test(node['Node Type']) && node['Index Cond'] === undefined)

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

test.each(['test/bench/schema', 'schema'])(
  'every statement that maintains and compares %s goes by an index',
  async (folder) => {
    const loaded = await loadSchema(folder)
    if (!loaded.ok) throw new Error(loaded.faults.map(formatFault).join('\n'))
    const { database, catalog } = await openEngine(loaded.model)
    const sql = connect(database.url, { max: 1, name: 'maintain', settings: { ...plans, ...byKey } })
    closing.push(database.drop, () => sql.end({ timeout: 1 }))
    const whole: string[] = []
    for (const { view, recompute, nodes: kept, paths, proofs, narrow } of catalog.generations) {
      const rollups = kept.flatMap(({ rollup, part }, node) => [
        [`contribute to ${node}`, rollup?.contribute],
        [`part ${node}`, part?.recompute],
        [`purge ${node}`, rollup?.purge],
      ])
      const statements = {
        recompute,
        ...Object.fromEntries(rollups),
        ...Object.fromEntries(narrow.map(({ fields, statement }) => [`narrow ${fields}`, statement])),
        ...Object.fromEntries(
          proofs.flatMap(({ next, differences, near, repair }, i) => [
            [`page of ${i}`, next],
            [`differences of ${i}`, differences],
            [`near differences of ${i}`, near],
            [`repair of ${i}`, repair],
          ]),
        ),
        ...Object.fromEntries(paths.map(({ expand }, i) => [`path ${i}`, expand])),
      }
      for (const [name, text] of Object.entries(statements)) {
        if (text === undefined) continue
        const [row] = await sql.unsafe(`explain (generic_plan, format json) ${text}`).simple()
        const found = row!['QUERY PLAN'] as readonly { Plan: Plan }[] | string
        const [{ Plan: plan }] = (typeof found === 'string' ? JSON.parse(found) : found) as [{ Plan: Plan }]
        for (const node of nodes(plan).filter(readsAll))
          whole.push(`${view.name} ${name}: ${node['Node Type']} ${node['Relation Name'] ?? ''}`)
      }
    }
    expect(whole).toEqual([])
  },
)

/** A bee's ant is found by the whole of its key. */
const hive = `
extend enum Role { READER }
extend schema @domain(name: "hive", owner: "law")
type Ant @entity(domain: "hive", key: ["code", "line"], source: { topic: "ants" }) {
  code: ID!
  line: Int!
  bees: [Bee!]! @join(to: ["antCode", "antLine"])
}
type Bee @entity(domain: "hive", key: "id", source: { topic: "bees" }) {
  id: ID!
  antCode: ID
  antLine: Int
  qty: Int!
  ant: Ant @join(from: ["antCode", "antLine"])
}
type Nest @view(of: "Bee") @allow(roles: [READER]) { id: ID!, around: Long! @sum(of: "ant.bees.qty") }
`

test('every stretch of a fan-out begins behind its cursor, also where rows are alone with their value', async () => {
  const model = await loadModel(hive)
  const { fanouts } = compileView(model, model.views.get('Nest')!)
  const stretches = fanouts.flatMap((fanout) => fanout?.after ?? [])
  expect(stretches.length).toBeGreaterThan(1)
  // Postgres refuses a parameter that a statement doesn't mention.
  for (const text of stretches) expect(text).toContain('$3')
})
