/** Schemas that were not made for Forebay run on data in their sources' own formats, with nothing of them in src/. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDecoder } from '../../src/ingest/decode.ts'
import { formatFault, loadSchema } from '../../src/model/load.ts'
import type { Model } from '../../src/model/model.ts'
import { columnName, entityTable, ident } from '../../src/model/names.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { type Asked, startDesk } from '../support/desk.ts'
import { type Database, freshDatabase } from '../support/postgres.ts'
import type { History } from './change-arbitrary.ts'
import { type Draw, drawFrom, tape } from './draw.ts'
import { startPositions } from './engine.ts'
import { type Foreign, foreignHistory } from './foreign-history.ts'
import { github } from './github.ts'
import { expectMoments } from './moments.ts'
import { northwind } from './northwind.ts'
import { type ViewRow, viewRows } from './oracle.ts'
import { runProcess } from './process.ts'
import { seed } from './runs.ts'
import { expectViewsEqualQuery } from './tables.ts'
import { compareText } from './values.ts'

const writes = 700

/** The whole of it: the declaration, a history, its log, applied and kept up. */
const runForeign = async (foreign: Foreign) => {
  console.info(`FOREBAY_LAW_SEED=${seed}`)
  const loaded = await loadSchema(foreign.folder)
  if (!loaded.ok) throw new Error(loaded.faults.map(formatFault).join('\n'))
  const { model } = loaded
  const draw = drawFrom(fc.sample(tape(40_000), { seed, numRuns: 1 })[0]!)
  const history = foreignHistory(draw, model, foreign.tables, writes)
  const log = foreign.makeLog(draw, model, history)
  const database = await freshDatabase()
  await installModel(database.sql, model)
  await startPositions(database.sql, log)
  // Two that share the partitions, and whose shards change hands.
  const mine = new Set(draw.some([...log.keys()]))
  const others = new Set([...log.keys()].filter((id) => !mine.has(id)))
  const work = { model, decoder: createDecoder(model), log, draw, batch: 40, budget: 60, url: database.url }
  await Promise.all([mine, others].map((owns) => runProcess({ ...work, owns, restless: true })))
  return { model, database, draw, rows: foreign.rows(history) }
}
type World = {
  readonly model: Model
  readonly database: Database
  readonly draw: Draw
  readonly rows: History['rows']
}

const expected = ({ model, rows }: World, view: string): readonly ViewRow[] =>
  viewRows(model, model.views.get(view)!, rows)
const only = (row: ViewRow, fields: readonly string[]) =>
  Object.fromEntries(fields.map((name) => [name, row.values[name]]))
/** By name, then by key, which is a number in both. */
const byName = (a: ViewRow, b: ViewRow): number =>
  compareText(String(a.values.name), String(b.values.name)) ||
  Number(BigInt(String(a.key[0])) - BigInt(String(b.key[0])))

describe.each([northwind, github])('$name', (foreign) => {
  let world: World
  let asked: Asked
  beforeAll(async () => {
    world = await runForeign(foreign)
    asked = await startDesk(world.database, world.model)
  })
  afterAll(async () => {
    await asked?.stop()
    await world?.database.drop()
  })

  test('law 1 every view equals its own query and the oracle, after updates, deletes, duplicates and disorder', async () => {
    await expectViewsEqualQuery(world.database.sql, world.model, world.rows)
    await expectMoments(world.database.sql, world.model, world.rows, world.draw)
    for (const view of world.model.views.keys()) expect(expected(world, view).length, view).toBeGreaterThan(0)
  })

  test('every entity table holds the keys that its source holds, those within other records included', async () => {
    for (const entity of world.model.entities.values()) {
      const key = entity.key.map((name) => ident(columnName(name)))
      const found = await world.database.sql.unsafe<{ key: string }[]>(
        `select jsonb_build_array(${key.map((name) => `${name}::text`).join(', ')})::text as key from ${entityTable(entity)} where not _deleted`,
      )
      const wanted = [...world.rows.get(entity.name)!.values()].map((row) =>
        entity.key.map((name) => String(row[name])),
      )
      const sorted = (keys: readonly (readonly string[])[]) => keys.map((one) => JSON.stringify(one)).sort()
      expect(sorted(found.map((row) => JSON.parse(row.key) as string[])), entity.name).toEqual(sorted(wanted))
    }
  })

  if (foreign === northwind) {
    const fields = ['id', 'companyName', 'contactName', 'orderCount', 'units', 'freight', 'lastOrder', 'unshipped']
    const query = `query ($id: ID!) { customerOrders(id: $id) { id companyName contactName orderCount units freight lastOrder
      unshipped { id orderDate shipper details { product category unitPrice quantity discount total } } } }`

    test('a customer by key is answered with decimals and days as the source has them', async () => {
      for (const row of expected(world, 'CustomerOrders')) {
        const { data } = await asked.ask({ roles: ['SALES'] }, query, { id: row.values.id })
        expect(data.customerOrders).toEqual(only(row, fields))
      }
    })

    test('a page of products is the first of all by name', async () => {
      const all = [...expected(world, 'ProductStock')].sort(byName)
      const fields = ['id', 'name', 'supplier', 'category', 'low', 'sold']
      const { data } = await asked.ask(
        { roles: ['SALES'] },
        '{ productStocks(first: 3, orderBy: { name: ASC }) { nodes { id name supplier { id companyName country } category low sold } totalCount pageInfo { hasNextPage } } }',
      )
      expect(data.productStocks).toEqual({
        nodes: all.slice(0, 3).map((row) => only(row, fields)),
        totalCount: all.length,
        pageInfo: { hasNextPage: all.length > 3 },
      })
    })

    test('who may see a birth date gets it to the day, who may not has no such field', async () => {
      const [row] = expected(world, 'EmployeeBoard').filter(({ values }) => values.birthDate !== null)
      const board = 'query ($id: Int!) { employeeBoard(id: $id) { id birthDate } }'
      const { data } = await asked.ask({ roles: ['HR'] }, board, { id: row!.values.id })
      expect(data.employeeBoard).toEqual(only(row!, ['id', 'birthDate']))
      const { errors } = await asked.ask({ roles: ['SALES'] }, board, { id: row!.values.id })
      expect(errors[0].extensions.code).toBe('FORBIDDEN')
    })
  }

  if (foreign === github) {
    const fields = [
      'id',
      'name',
      'topics',
      'forkOf',
      'forkCount',
      'openIssues',
      'bugs',
      'people',
      'teams',
      'latestIssue',
    ]
    const query = `query ($id: Long!) { repoPage(id: $id) { id name topics forkOf forkCount openIssues bugs people
      teams { teamId name push maintainers } latestIssue { number state author { id login } labels { label color } } } }`

    test('a repository by a key beyond 2^53 is answered to its own organisation and to no other', async () => {
      for (const row of expected(world, 'RepoPage')) {
        const ask = (tenant: string) => asked.ask({ roles: ['MEMBER'], tenant }, query, { id: row.values.id })
        expect((await ask(row.tenant!)).data.repoPage).toEqual(only(row, fields))
        expect((await ask(`${row.tenant}0`)).data.repoPage).toBeNull()
      }
    })

    test('a page and its count hold the organisation’s own repositories only', async () => {
      const all = expected(world, 'RepoPage')
      for (const [tenant, own] of Map.groupBy(all, (row) => row.tenant!)) {
        const { data } = await asked.ask(
          { roles: ['MEMBER'], tenant },
          '{ repoPages(first: 2, orderBy: { name: ASC }) { nodes { id name openIssues } totalCount } }',
        )
        expect(data.repoPages).toEqual({
          nodes: [...own]
            .sort(byName)
            .slice(0, 2)
            .map((row) => only(row, ['id', 'name', 'openIssues'])),
          totalCount: own.length,
        })
      }
    })
  }
})
