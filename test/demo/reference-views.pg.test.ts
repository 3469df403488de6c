/** The reference domain's views beside an analyst's SQL: the shop written to a source database, and what its Debezium would send applied to the engine. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { applySql, sourceDdl } from '../../schema/simulation/source-sql.ts'
import { simulation } from '../../schema/simulation.ts'
import { persist } from '../../src/ingest/apply/persist.ts'
import type { LogRecord } from '../../src/ingest/change.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { plans } from '../../src/ingest/session-settings.ts'
import { loadSchema } from '../../src/model/load.ts'
import { quote } from '../../src/model/names.ts'
import { viewTable } from '../../src/model/sql/compile-view.ts'
import { createDebezium } from '../../src/operate/demo/debezium.ts'
import { connect } from '../../src/platform/postgres.ts'
import { openEngine } from '../law/engine.ts'
import { stretchOf } from '../law/stretch.ts'
import { freshDatabase } from '../support/postgres.ts'

const queries = join(import.meta.dirname, '../e2e/source-views')
const functions = `
  create function iso(at timestamptz) returns text language sql immutable return
    rtrim(rtrim(to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z';
  create function code(value text) returns text language sql immutable return upper(translate(value, '- ', '__'))`

type Found = { readonly tenant: string | null; readonly key: string; readonly row: Record<string, unknown> }
const byKey = (rows: readonly Found[]): Record<string, unknown> =>
  Object.fromEntries(rows.map(({ tenant, key, row }) => [`${tenant} ${key}`, row]))

test('each of them that is wholly stored equals a query of the source', { timeout: 240_000 }, async () => {
  const loaded = await loadSchema('schema')
  if (!loaded.ok) throw new Error('the reference schema has faults')
  const source = await freshDatabase()
  const engine = await openEngine(loaded.model)
  const own = connect(engine.database.url, { max: 1, name: 'maintainer', settings: plans })
  try {
    await source.sql.unsafe(`${sourceDdl}\n${functions}`)
    const run = simulation.create({ seed: 5, now: () => Date.now() })
    const { render } = createDebezium(simulation.tables)
    const logs = new Map<string, LogRecord[]>()
    for (const transaction of [...run.seedData('tiny'), ...Array.from({ length: 1_500 }, () => run.step()).flat()]) {
      await applySql(source.sql, transaction)
      for (const { topic, key, value, headers } of render(transaction)) {
        const log = logs.get(topic) ?? []
        logs.set(topic, log)
        const at = { topic, partition: 0, offset: BigInt(log.length), timestamp: transaction.at }
        log.push({ ...at, key: Buffer.from(key), value: value === null ? null : Buffer.from(value), headers })
      }
    }
    const decoder = createDecoder(loaded.model)
    for (const [topic, log] of logs) {
      await engine.database.sql`insert into forebay.positions (topic, partition, next_offset) values (${topic}, 0, 0)`
      for (let from = 0; from < log.length; from += 500)
        await persist(engine.applier, [stretchOf(decoder, log.slice(from, from + 500), BigInt(from), 0)], () => {})
    }
    const maintainer = startMaintainer({ sql: own, catalog: engine.catalog, published: async () => {}, auto: false })
    while ((await maintainer.round()).entries > 0);
    for (const file of await readdir(queries)) {
      const name = file.replace('.sql', '').replaceAll(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase())
      const { table, key, columns } = viewTable(loaded.model, loaded.model.views.get(name)!)
      const pairs = columns.map(({ field, answer }) => `${quote(field)}, ${answer}`)
      const held = await engine.database.sql.unsafe<Found[]>(
        `select _tenant as tenant, ${key.map(({ column }) => `"${column}"`).join(" || '/' || ")} as key, jsonb_build_object(${pairs.join(', ')}) as row from ${table} v where not _incomplete`,
      )
      const wanted = byKey(await source.sql.unsafe<Found[]>(await readFile(join(queries, file), 'utf8')))
      expect(Object.keys(wanted).length, name).toBeGreaterThan(0)
      expect(byKey(held), name).toEqual(wanted)
    }
  } finally {
    await own.end({ timeout: 1 })
    await Promise.all([engine.database.drop(), source.drop()])
  }
})
