import { expect, test } from 'vitest'
import { falseClaims } from '../support/docs.ts'

const repository = {
  exists: (path: string) => ['src/cli.ts', 'src/model/', 'src/model/*.ts', 'tsconfig.json', 'LICENSE'].includes(path),
  read: (path: string) => (path === 'src/cli.ts' ? 'const a = 1\nconst b = 2\nconst c = 3\n' : undefined),
  topLevel: ['src', 'test', 'tsconfig.json', 'LICENSE'],
  tests: [
    {
      name: 'test/a.test.ts',
      text: "test('law 1 view = query', () => {})\n// 'law 2 is only spoken of'\n['C12 ties']",
    },
  ],
}
const claims = (text: string): string[] => falseClaims({ name: 'A.md', text }, repository)

test('paths that exist, URLs, GraphQL names and commands are no faults', () => {
  expect(claims('`src/cli.ts` `src/model/` `src/model/*.ts` `tsconfig.json` [the licence](LICENSE)')).toEqual([])
  expect(claims('`/graphql` `POST /ingest/:topic` `Customer.email` `npm ci && npm run demo` `text/plain`')).toEqual([])
})

test.each([
  ['a backticked path', 'See `src/clo.ts`.', 'A.md:1: src/clo.ts '],
  ['a folder', '\n`src/modle/`', 'A.md:2: src/modle/ '],
  ['a pattern that nothing fits', '`src/gateway/*.ts`', 'A.md:1: src/gateway/*.ts '],
  ['a root file', '`tsconfig.jsonc.json`', 'A.md:1: tsconfig.jsonc.json '],
  ['a link', '[x](docs/x.md#part)', 'A.md:1: docs/x.md '],
  ['an unquoted path in a column of files', '| role | file |\n| --- | --- |\n| x | src/x.ts |', 'A.md:3: src/x.ts '],
  [
    'a law that is only spoken of',
    '| law | test |\n|-|-|\n| law 2 redelivery | x |',
    'A.md:3: no test\'s name contains "law 2"',
  ],
  ['a numbered law', '| law | test |\n|-|-|\n| 3 interleaving | x |', 'A.md:3: no test\'s name contains "law 3"'],
  ['code that its file no longer holds', 'See\n```ts src/cli.ts\nconst b = 3\n```\n', 'A.md:2: this code '],
  ['code of a file that is gone', '```ts src/clo.ts\nconst b = 3\n```\n', 'A.md:1: src/clo.ts '],
  ['a rule within a range', '| rule | test |\n|-|-|\n| C11–C12 | x |', 'A.md:3: no test\'s name contains "C11"'],
])('%s is named with its line', (_, text, expected) => {
  const found = claims(text)
  expect(found).toHaveLength(1)
  expect(found[0]).toContain(expected)
})

test('code that stands in the file it names is no fault, nor is code that names none', () => {
  expect(claims('```ts src/cli.ts\nconst b = 2\nconst c = 3\n```\n```sh\nnpm ci\n```\n')).toEqual([])
})

test('laws and rules with a test of their name are no faults', () => {
  expect(claims('| law | test |\n|-|-|\n| law 1 | x |\n| C12 | x |')).toEqual([])
})
