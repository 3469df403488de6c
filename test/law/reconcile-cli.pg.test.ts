/** `forebay reconcile` beside a running ingest, which compares by itself too, and when none runs. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { engine, later, startHere } from '../feed/world.ts'
import { runForebay, type Said } from '../support/forebay.ts'

const text = `
extend enum Role { CLERK }
extend schema @domain(name: "shop", owner: "shop")
type Item @entity(domain: "shop", key: "id", source: { topic: "items" }) { id: ID! n: Int! }
type ItemFile @view(of: "Item") @allow(roles: [CLERK]) { id: ID! n: Int! }
`
const open = async () => {
  const own = await engine(text, {})
  const folder = later(await mkdtemp(join(tmpdir(), 'forebay-reconcile-')), (made) => rm(made, { recursive: true }))
  await writeFile(join(folder, 'shop.graphql'), text)
  const env = { ...process.env, DATABASE_URL: own.url, FOREBAY_SCHEMA: folder, FOREBAY_DATA: folder }
  const forebay = (...args: string[]): Promise<Said> => runForebay(env, 'reconcile', ...args)
  return { own, forebay }
}

test('compares at once, finds what was planted, exits 1, and shows how it went', async () => {
  const { own, forebay } = await open()
  await startHere(own, { reconcileShare: 0 })
  await own.sql`insert into shop.item (id, n, _epoch, _version, _tie, _partition, _offset, _deleted) select i::text, i, 0, 1, 0, 0, i, false from generate_series(1, 1500) i`
  const [{ table }] = (await own.sql`
    select definition->'table'->>'table' as table from forebay.generations where state = 'ACTIVE'`) as unknown as [
    { table: string },
  ]
  const first = await forebay('--now', 'ItemFile')
  // Rows that no change brought: none of them is in the view yet.
  expect(first.out).toContain('ItemFile (view): 1,500 keys compared, 1,500 drifted, 1,500 repaired')
  expect(first.code).toBe(1)
  const clean = await forebay('--now')
  expect(clean).toMatchObject({ code: 0, err: '' })
  expect(clean.out).toContain('1,500 keys compared, nothing drifted')
  await own.sql.unsafe(`update ${table} set n = -1 where id = '7'`)
  const again = await forebay('--now', '--json')
  expect(again.code).toBe(1)
  expect(JSON.parse(again.out)).toMatchObject({
    passes: [{ name: 'ItemFile', drifted: 1, repaired: 1, state: 'DONE' }],
  })
  expect([...(await own.sql.unsafe(`select n from ${table} where id = '7'`))]).toEqual([{ n: 7 }])
  expect((await forebay()).out).toMatch(/^ItemFile \(view\): 1,500 keys compared, 1 drifted, 1 repaired, at \d{4}-/)
}, 120_000)

test('by itself ingest compares too, for its share of the time', async () => {
  const { own, forebay } = await open()
  await startHere(own, { reconcileShare: 1 })
  await expect
    .poll(async () => (await forebay()).out, { timeout: 30_000, interval: 500 })
    .toMatch(/nothing drifted, at/)
}, 60_000)

test('without an ingest process, and of what there is not, it says what to do', async () => {
  const { forebay } = await open()
  expect(await forebay('--now')).toMatchObject({ code: 1, err: expect.stringContaining('No ingest process runs') })
  expect(await forebay('ItemFile')).toMatchObject({ code: 2, err: expect.stringContaining('--now ItemFile') })
  expect(await forebay('--now', 'Item')).toMatchObject({ code: 2, err: expect.stringContaining('it comes over a log') })
  expect(await forebay('--help')).toMatchObject({ code: 0, out: expect.stringContaining('--now') })
}, 60_000)
