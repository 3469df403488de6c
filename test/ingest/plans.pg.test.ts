/** Maintenance finds rows by key, however large the tables become: its plans are made once, and may be made while they are empty. */
import { afterEach, expect, test } from 'vitest'
import { byKey, plans } from '../../src/ingest/session-settings.ts'
import { formatFault, loadSchema } from '../../src/model/load.ts'
import { connect } from '../../src/platform/postgres.ts'
import { openEngine } from '../law/engine.ts'

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

test.each(['test/bench/schema', 'schema'])('every statement that maintains %s goes by an index', async (folder) => {
  const loaded = await loadSchema(folder)
  if (!loaded.ok) throw new Error(loaded.faults.map(formatFault).join('\n'))
  const { database, catalog } = await openEngine(loaded.model)
  const sql = connect(database.url, { max: 1, name: 'maintain', settings: { ...plans, ...byKey } })
  closing.push(database.drop, () => sql.end({ timeout: 1 }))
  const whole: string[] = []
  for (const { view, recompute, regroup, paths } of catalog.generations) {
    const statements = {
      recompute,
      regroup,
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
})
