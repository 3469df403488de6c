import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { cruise, type IConfiguration, type ICruiseResult } from 'dependency-cruiser'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
let folder: string
let configuration: IConfiguration
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'forebay-imports-'))
  configuration = (await import(pathToFileURL(join(root, '.dependency-cruiser.js')).href)).default
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
})
afterAll(() => rm(folder, { recursive: true }))

/** The names of the rules that a tree of files breaks. */
async function broken(files: Readonly<Record<string, string>>): Promise<string[]> {
  const base = await mkdtemp(join(folder, 'tree-'))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(base, name)), { recursive: true })
    await writeFile(join(base, name), text)
  }
  const { forbidden, options } = configuration
  const rules = { ...(forbidden && { forbidden }) }
  const { output } = await cruise(['.'], { ...options, ruleSet: rules, validate: true, baseDir: base })
  return (output as ICruiseResult).summary.violations.map(({ rule }) => rule.name)
}

const file = 'export const x = 1\n'
const use = (path: string): string => `import { x } from '${path}'\nexport const y = x\n`
const type = (path: string): string => `import type { x } from '${path}'\nexport type Y = typeof x\n`

test.each<[rule: string, from: string, to: string]>([
  ['model-stands-alone', 'src/model/a.ts', 'src/platform/b.ts'],
  ['model-stands-alone', 'src/model/a.ts', 'src/ingest/b.ts'],
  ['platform-stands-alone', 'src/platform/a.ts', 'src/model/b.ts'],
  ['platform-stands-alone', 'src/platform/a.ts', 'src/gateway/b.ts'],
  ['ingest-knows-no-other-half', 'src/ingest/a.ts', 'src/gateway/b.ts'],
  ['ingest-knows-no-other-half', 'src/ingest/a.ts', 'src/operate/b.ts'],
  ['gateway-knows-no-other-half', 'src/gateway/a.ts', 'src/ingest/b.ts'],
  ['gateway-knows-no-other-half', 'src/gateway/a.ts', 'src/cli.ts'],
  ['only-the-cli-is-on-top', 'src/operate/a.ts', 'src/cli.ts'],
  ['src-knows-no-domain', 'src/operate/a.ts', 'schema/b.ts'],
  ['src-knows-no-test', 'src/operate/a.ts', 'test/b.ts'],
])('%s: an import from %s of %s is refused, of types too', async (rule, from, to) => {
  const path = `${'../'.repeat(from.split('/').length - 1)}${to}`
  expect(await broken({ [from]: use(path), [to]: file })).toContain(rule)
  expect(await broken({ [from]: type(path), [to]: file })).toContain(rule)
})

test('a cycle is refused, one of types too', async () => {
  expect(await broken({ 'src/model/a.ts': type('./b.ts'), 'src/model/b.ts': type('./a.ts') })).toContain('no-cycles')
})

test('an orphan, a missing file and a development package in src are refused', async () => {
  expect(await broken({ 'src/model/a.ts': file })).toContain('no-orphans')
  expect(await broken({ 'src/model/a.ts': use('./b.ts') })).toContain('everything-imported-exists')
  const development = { 'package.json': '{"devDependencies":{"vitest":"*"}}', 'src/cli.ts': use('vitest') }
  expect(await broken(development)).toContain('src-runs-without-development-packages')
})

test('the allowed direction is allowed', async () => {
  expect(
    await broken({
      'src/model/model.ts': file,
      'src/platform/log.ts': file,
      'src/ingest/main.ts': `${use('../model/model.ts')}export { x as z } from '../platform/log.ts'\n`,
      'src/gateway/main.ts': use('../model/model.ts'),
      'src/cli.ts': `export { y } from './ingest/main.ts'\nexport { y as z } from './gateway/main.ts'\n`,
    }),
  ).toEqual([])
})
