import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { simulation } from '../../schema/simulation.ts'
import { startIngest } from '../../src/ingest/main.ts'
import { loadSchema } from '../../src/model/load.ts'
import type { Column, Entity, Model } from '../../src/model/model.ts'
import { columnName, entityTable } from '../../src/model/names.ts'
import { sourcedColumns } from '../../src/model/sourced.ts'
import { type FeederOptions, startFeeder } from '../../src/operate/demo/feeder.ts'
import { journalWriter } from '../../src/operate/demo/journal-writer.ts'
import type { Row, Value } from '../../src/operate/demo/simulation.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { readConfig } from '../../src/platform/config.ts'
import type { Sql } from '../../src/platform/postgres.ts'
import { freshDatabase } from '../support/postgres.ts'

const readModel = async (): Promise<Model> => {
  const loaded = await loadSchema('schema')
  if (!loaded.ok) throw new Error('the reference schema has faults')
  return loaded.model
}

/** A source value as the entity table holds it, as JSON. */
const stored = ({ type }: Column, value: Value | undefined): unknown => {
  if (value === null || value === undefined) return null
  if (type.kind === 'enum') return String(value).toUpperCase().replaceAll('-', '_')
  if (type.scalar === 'DateTime') return new Date(typeof value === 'number' ? value : String(value)).getTime()
  if (type.scalar === 'Decimal') return Number(value)
  return value
}
const comparable = ({ type }: Column, value: unknown): unknown =>
  type.kind === 'scalar' && type.scalar === 'DateTime' && typeof value === 'string' ? Date.parse(value) : value

const entityRows = async (sql: Sql, entity: Entity): Promise<Map<string, Record<string, unknown>>> => {
  const rows = await sql.unsafe(`select to_jsonb(t) as row from ${entityTable(entity)} t where not _deleted`)
  return new Map(rows.map(({ row }) => [entity.key.map((name) => row[columnName(name)]).join('/'), row]))
}

/** Tables whose rows the simulation holds until they are deleted. */
const neverSettled = new Set(['customers', 'addresses', 'consents', 'products', 'stock_levels', 'api_clients', 'flags'])

const applied = async (sql: Sql): Promise<boolean> => {
  const [row] = await sql<{ done: boolean }[]>`
    select not exists (select from forebay.journal_ends e left join forebay.positions p using (topic, partition)
                       where e.next_offset > coalesce(p.next_offset, 0))
       and not exists (select from forebay.dirty) as done`
  return row?.done ?? false
}

test('through duplicates, delays and a stop, what is applied in the end is what the simulated shop holds', async () => {
  const { url, sql, drop } = await freshDatabase()
  try {
    const model = await readModel()
    await installModel(sql, model)
    const config = { ...readConfig({}), databaseUrl: url }
    const failed = (error: Error): void => expect.fail(error.message)
    const ingest = await startIngest({ config, model, sql, failed })
    const topics = [...new Set([...model.entities.values()].map(({ source }) => source.topic))]
    const work = async (options: Pick<FeederOptions, 'rate' | 'faults'>, ms: number): Promise<number> => {
      const writer = await journalWriter(sql, topics)
      const feeder = await startFeeder({ simulation, sql, writer, seed: 17, size: 'tiny', ...options })
      await sleep(ms)
      await feeder.stop()
      return feeder.written()
    }
    expect(await work({ rate: 800, faults: true }, 5_000)).toBeGreaterThan(1_500)
    await work({ rate: 100, faults: false }, 1_000)
    while (!(await applied(sql))) await sleep(50)
    await ingest.stop()

    let compared = 0
    for (const table of simulation.tables.filter(({ topic }) => topic)) {
      const entity = [...model.entities.values()].find(({ source }) => source.topic === table.topic)
      expect(entity, table.name).toBeDefined()
      if (!entity) continue
      const found = await entityRows(sql, entity)
      const held = await sql<{ key: string; row: Row }[]>`
        select key, row from simulation.rows where source = ${table.name}`
      if (neverSettled.has(table.name)) expect([table.name, found.size]).toEqual([table.name, held.length])
      for (const { row } of held) {
        const key = entity.key.map((name) => {
          const column = entity.columns.find((one) => one.name === name)
          return column && stored(column, row[column.path.at(-1) ?? ''])
        })
        for (const column of sourcedColumns(entity)) {
          const wanted = stored(column, row[column.path.at(-1) ?? ''])
          const got = comparable(column, found.get(key.join('/'))?.[columnName(column.name)])
          // A status that the declaration doesn't know is OTHER there.
          if (wanted !== 'FRAUD_REVIEW')
            expect([table.name, key, column.name, got]).toEqual([table.name, key, column.name, wanted])
          compared += 1
        }
      }
    }
    expect(compared).toBeGreaterThan(1_000)
    const parked = await sql<{ topic: string }[]>`select distinct topic from forebay.quarantine order by topic`
    for (const { topic } of parked) expect(['platform.usage', 'risk.signals']).toContain(topic)
  } finally {
    await drop()
  }
})
