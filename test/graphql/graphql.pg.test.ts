/**
 * Each `name.test.graphql` is asked of the small world in schema/, by whom its first lines say; beside it stand the answer
 * (`name.json`) and the SQL it took (`name.sql`). UPDATE=1 writes them anew: read the difference before committing it.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Statement } from '../../src/gateway/read/row-sql.ts'
import { desk } from '../gateway/support/desk.ts'
import { type Asker, readModel, startWorld, type World } from '../gateway/support/world.ts'

const folder = import.meta.dirname
const names = (await readdir(folder)).filter((name) => name.endsWith('.test.graphql')).sort()

let world: World
beforeAll(async () => {
  world = await startWorld({ model: await readModel(join(folder, 'schema')), rows: desk })
})
afterAll(() => world.stop())

/** `# asker: {…}` and `# variables: {…}`, each JSON on one line. */
const header = (text: string, name: string): unknown => {
  const line = new RegExp(`^# ${name}: (.*)$`, 'm').exec(text)?.[1]
  return line === undefined ? undefined : JSON.parse(line)
}
/** What differs from run to run, or with each change of a view's compiled definition: moments, sealed cursors, hashes. */
const steady = (text: string): string =>
  text
    .replace(/"(asOf|lagMs)":\s*("[^"]*"|-?\d+)/g, '"$1": "…"')
    .replace(/"position":\s*"[^"]*"/g, '"position": "…"')
    .replace(/"(cursor|startCursor|endCursor)":\s*"[^"]*"/g, '"$1": "sealed"')
const sqlText = (statements: readonly Statement[]): string =>
  statements
    .map(({ text, values }) => `${text};\n${values.map((value, i) => `-- $${i + 1} ${value}\n`).join('')}`)
    .join('\n')
    .replace(/_[0-9a-f]{12}"/g, '_hash"')

test.each(names)('%s', async (name) => {
  const query = await readFile(join(folder, name), 'utf8')
  const asker = header(query, 'asker') as Asker
  const variables = (header(query, 'variables') ?? {}) as Record<string, unknown>
  world.statements()
  const { status, body } = await world.ask(query, asker, variables)
  const answer = `${steady(JSON.stringify({ status, ...body }, null, 2))}\n`
  const sql = sqlText(world.statements())
  const beside = (suffix: string): string => join(folder, name.replace('.test.graphql', suffix))
  if (process.env.UPDATE) {
    await writeFile(beside('.json'), answer)
    await writeFile(beside('.sql'), sql)
  }
  expect(answer).toBe(await readFile(beside('.json'), 'utf8'))
  expect(sql).toBe(await readFile(beside('.sql'), 'utf8'))
})
