import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { simulation } from '../../schema/simulation.ts'
import { parseSchema } from '../../src/model/load.ts'

const readme = await readFile('README.md', 'utf8')
const [query = '', declaration = ''] = [...readme.matchAll(/^```graphql\n(.*?)^```/gms)].map(([, text = '']) => text)

test("the README's own schema has no faults", async () => {
  const loaded = await parseSchema([{ name: 'readme.graphql', text: declaration }])
  expect(loaded.ok ? [] : loaded.faults).toEqual([])
  expect(loaded.ok && [...loaded.model.views.keys()]).toEqual(['CustomerCard'])
})

test("the README's first query is the one that the demo prints", () => {
  expect(query.trim()).toBe(simulation.query)
})

test('every variable that the README names is read, and every one that is read is named', async () => {
  const sources = [
    'config.ts',
    'kafka.ts',
    'schema-registry.ts',
    'journal-settings.ts',
    'http-settings.ts',
    'log.ts',
  ].map((name) => readFile(`src/platform/${name}`, 'utf8'))
  const text = (await Promise.all([...sources, readFile('src/operate/migrate/folder.ts', 'utf8')])).join('\n')
  const read = new Set(
    [...text.matchAll(/(?:text|postgres|web|url|whole|mebibytes)\('([A-Z_]+)'|env\.([A-Z_]+)|'(KAFKA_[A-Z_]+)'/g)].map(
      ([, ...names]) => names.find((name) => name !== undefined) ?? '',
    ),
  )
  const variables = /## Environment(.*?)^## /ms.exec(readme)?.[1] ?? ''
  const table = new Set([...variables.matchAll(/`([A-Z]+(?:_[A-Z]+)*)`/g)].map(([, name = '']) => name))
  table.delete('PLAIN') // a value
  // The test runner's own.
  const later = new Set(['VITEST'])
  expect([...read].filter((name) => !table.has(name) && !later.has(name))).toEqual([])
  expect([...table].filter((name) => !read.has(name))).toEqual([])
})
