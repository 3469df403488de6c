import { expect, test } from 'vitest'
import type { Loadable } from '../../src/gateway/read/row-batch.ts'
import { createRowLoads } from '../../src/gateway/read/row-loads.ts'
import type { Reading, Statement } from '../../src/gateway/read/row-sql.ts'
import type { Run } from '../../src/gateway/read/statements.ts'

const table = {
  table: 't',
  tenanted: true,
  grouped: false,
  hash: 'h',
  columns: [],
  rolling: [],
  key: [{ name: 'id', column: 'id', nullable: false, type: { kind: 'scalar', scalar: 'ID' } }],
}
const basis = { generation: 1, basis: { table, view: { fields: [] } } } as unknown as Loadable
const reading = (tenant: string, ...fields: string[]) =>
  ({ table, tenant, fields: new Set(fields), bounded: false, classes: () => ['true'] }) as unknown as Reading

/** Answers each key with a row that says its tenant. */
const recorder = () => {
  const statements: Statement[] = []
  const run = (async (statement: Statement) => {
    statements.push(statement)
    const keys = [...(statement.values[0] ?? '').matchAll(/"([^"]*)"/g)].map(([, key]) => key)
    return keys.map((key, i) => ({ position: i + 1, fields: `${key} of ${statement.values.at(-1)}` }))
  }) as Run
  return { statements, run }
}

test('keys that requests ask for in one turn go out as one statement, each once; tenants and field sets stay apart', async () => {
  const { statements, run } = recorder()
  const loads = createRowLoads(run, undefined)
  const ask = async (tenant: string, key: string, ...fields: string[]) =>
    (await loads.shared(basis, 'LOG', reading(tenant, ...fields)).load({ key: [key], asOf: null, floor: null }))?.row
      .fields
  const answers = await Promise.all([
    ask('acme', 'a', 'x'),
    ask('acme', 'b', 'x'),
    ask('acme', 'a', 'x'),
    ask('globex', 'a', 'x'),
    ask('acme', 'a', 'y'),
  ])
  expect(answers).toEqual(['a of acme', 'b of acme', 'a of acme', 'a of globex', 'a of acme'])
  expect(statements.map(({ values }) => values)).toEqual([
    ['{"a","b"}', 'acme'],
    ['{"a"}', 'globex'],
    ['{"a"}', 'acme'],
  ])
})

test('what row rules bind is not shared between requests', async () => {
  const { statements, run } = recorder()
  const loads = createRowLoads(run, undefined)
  await Promise.all([
    loads.own(reading('acme')).load({ key: ['a'], asOf: null, floor: null }),
    loads.own(reading('acme')).load({ key: ['a'], asOf: null, floor: null }),
  ])
  expect(statements).toHaveLength(2)
})
