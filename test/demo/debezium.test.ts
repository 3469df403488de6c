import { beforeAll, describe, expect, test } from 'vitest'
import { simulation } from '../../schema/simulation.ts'
import type { Change, LogRecord } from '../../src/ingest/change.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import { loadSchema } from '../../src/model/load.ts'
import type { Column, Model } from '../../src/model/model.ts'
import { sourcedColumns } from '../../src/model/sourced.ts'
import { createDebezium, type OutRecord } from '../../src/operate/demo/debezium.ts'
import type { Row, Transaction } from '../../src/operate/demo/simulation.ts'
import { rowsAfter } from './rows-after.ts'

let model: Model
beforeAll(async () => {
  const loaded = await loadSchema('schema')
  if (!loaded.ok) throw new Error(loaded.faults.map(({ problem }) => problem).join('\n'))
  model = loaded.model
})

const history = (faults: boolean): Transaction[] => {
  const run = simulation.create({ seed: 31, faults })
  return [...run.seedData('tiny'), ...Array.from({ length: 3000 }, () => run.step()).flat()]
}
const logged = (records: readonly OutRecord[]): LogRecord[] =>
  records.map(({ topic, key, value, headers }, index) => ({
    topic,
    partition: 0,
    offset: BigInt(index),
    timestamp: 0,
    key: Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    headers,
  }))
const decodeAll = (transactions: readonly Transaction[]) => {
  const decoder = createDecoder(model)
  const { render } = createDebezium(simulation.tables)
  return logged(transactions.flatMap(render)).flatMap((record) =>
    decoder.decode(record, 0).map((decoded) => ({ topic: record.topic, decoded })),
  )
}

/** Decoded text of an enum is its name; every other value is as the shop wrote it. */
const asDecoded = ({ type }: Column, value: Row[string] | undefined): unknown => {
  if (value === null || value === undefined) return null
  if (type.kind === 'enum') return String(value).toUpperCase().replaceAll('-', '_')
  if (type.scalar === 'JSON') return { json: JSON.stringify(value) }
  if (type.scalar === 'DateTime')
    return Date.parse(typeof value === 'number' ? new Date(value).toISOString() : String(value))
  return value
}
const comparable = ({ type }: Column, value: Change['row'][string] | undefined): unknown =>
  type.kind === 'scalar' && type.scalar === 'DateTime' && typeof value === 'string'
    ? Date.parse(value)
    : (value ?? null)

describe('what the simulated sources send', () => {
  test('is decoded without a bad record, into the very rows that the shop holds', () => {
    const transactions = history(false)
    const expected = rowsAfter(transactions)
    const rows = new Map<string, Map<string, Change['row']>>()
    for (const { topic, decoded } of decodeAll(transactions)) {
      expect([topic, decoded.kind === 'bad' ? decoded.reason : 'good']).toEqual([topic, 'good'])
      if (decoded.kind !== 'changes') continue
      for (const { entity, op, row, absent } of decoded.changes) {
        const held = rows.get(entity) ?? new Map<string, Change['row']>()
        rows.set(entity, held)
        const key = (model.entities.get(entity)?.key ?? []).map((name) => row[name]).join('/')
        const kept = Object.fromEntries(absent.map((name) => [name, held.get(key)?.[name] ?? null]))
        if (op === 'delete') held.delete(key)
        else held.set(key, { ...row, ...kept })
      }
    }
    for (const table of simulation.tables.filter(({ topic }) => topic)) {
      const entity = [...model.entities.values()].find(({ source }) => source.topic === table.topic)
      expect(entity, table.name).toBeDefined()
      const held = rows.get(entity?.name ?? '') ?? new Map<string, Change['row']>()
      expect(held.size, table.name).toBe(expected.get(table.name)?.size)
      const wanted = [...(expected.get(table.name)?.values() ?? [])]
      for (const row of wanted) {
        const key = (entity?.key ?? []).map((name) => {
          const column = entity?.columns.find((one) => one.name === name)
          return column && asDecoded(column, row[column.path.at(-1) ?? ''])
        })
        const decoded = held.get(key.join('/'))
        for (const column of entity ? sourcedColumns(entity) : [])
          expect([table.name, column.name, comparable(column, decoded?.[column.name])]).toEqual([
            table.name,
            column.name,
            asDecoded(column, row[column.path.at(-1) ?? '']),
          ])
      }
    }
  })

  test('with faults holds bad records, of topics that no view reads, and texts that no enum declares', () => {
    const decoded = decodeAll(history(true))
    const bad = new Set(decoded.flatMap(({ topic, decoded }) => (decoded.kind === 'bad' ? [topic] : [])))
    expect([...bad].sort()).toEqual(['platform.usage', 'risk.signals'])
    const raw = decoded.flatMap(({ decoded }) =>
      decoded.kind === 'changes' ? decoded.changes.flatMap((change) => Object.values(change.raw ?? {})) : [],
    )
    expect(raw).toContain('fraud-review')
  })
})
