/** `npm run check:docs`: exits 1 and says which claims of the documents about the repository are false. */
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { falseClaims } from './docs.ts'

const root = join(import.meta.dirname, '../..')
const repository = {
  exists: (pattern: string) => globSync(pattern.replace(/\/$/, ''), { cwd: root }).length > 0,
  read: (path: string) => (existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined),
  topLevel: readdirSync(root),
  tests: globSync('test/**/*.test.ts', { cwd: root }).map((name) => ({
    name,
    text: readFileSync(join(root, name), 'utf8'),
  })),
}
const faults = ['README.md', 'ARCHITECTURE.md', 'SOURCES.md'].flatMap((name) =>
  existsSync(join(root, name))
    ? falseClaims({ name, text: readFileSync(join(root, name), 'utf8') }, repository)
    : [`${name} is missing.`],
)
for (const fault of faults) process.stderr.write(`${fault}\n`)
if (faults.length > 0) process.exitCode = 1
