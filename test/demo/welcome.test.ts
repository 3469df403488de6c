import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { curlLine } from '../../src/operate/demo/welcome.ts'

test('the curl line is taken by a shell as it was meant, quotes and line breaks in the query included', () => {
  const query = `{\n  customer(name: "O'Hara $HOME") {\n    id\n  }\n}`
  const script = `curl() { for word in "$@"; do printf '%s\\n' "$word"; done; }; ${curlLine('http://localhost:4000/graphql', 'abc.def', query)}`
  const words = execFileSync('sh', ['-c', script], { encoding: 'utf8' }).trimEnd().split('\n')
  expect(words).toContain('authorization: Bearer abc.def')
  expect(JSON.parse(words.at(-1) ?? '')).toEqual({ query: `{ customer(name: "O'Hara $HOME") { id } }` })
})
