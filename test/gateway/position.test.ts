/** The helper for writers, as it stands in the sources and as it is published. */
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { readToken } from '../../src/gateway/freshness/position-token.ts'
import { allOf, positionOf, positionOfCommit } from '../../src/position.ts'

const run = promisify(execFile)
const key = Buffer.alloc(32, 7)
const read = (token: string) =>
  token.split(',').flatMap((one) => {
    const found = readToken(one, key)
    if (!found.ok) throw new Error(found.why)
    return found.required
  })
const offset = (topic: string, partition: number, next: bigint) => ({
  kind: 'OFFSET',
  topic,
  topicId: null,
  partition,
  epoch: null,
  next,
})

test('what a writer mints is read as the very records and commits that it names', () => {
  expect(read(positionOf({ topic: 'crm.public.a-b', partition: 3, offset: '9007199254740993' }))).toEqual([
    offset('crm.public.a-b', 3, 9007199254740994n),
  ])
  expect(read(positionOf('shop.orders-0-17', 'shop.orders-0-5', 'shop.orders-1-0'))).toEqual([
    offset('shop.orders', 0, 18n),
    offset('shop.orders', 1, 1n),
  ])
  const both = allOf(positionOfCommit('crm', '1/16B3748'), positionOf({ topic: 'a', partition: 0, offset: 0 }))
  expect(read(both)).toEqual([{ kind: 'LSN', source: 'crm', lsn: 0x1_016b3748n }, offset('a', 0, 1n)])
})

test('what no log could have answered is refused', () => {
  const wrong: readonly (() => string)[] = [
    () => positionOf(),
    () => positionOf('orders-0'),
    () => positionOf({ topic: 'a,b', partition: 0, offset: 0 }),
    () => positionOf({ topic: 'a', partition: 0.5, offset: 0 }),
    () => positionOf({ topic: 'a', partition: 0, offset: -1 }),
    () => positionOf({ topic: 'a', partition: 0, offset: 1.5 }),
    () => positionOf(...Array.from({ length: 65 }, (_, i) => `a-${i}-0`)),
    () => positionOfCommit('crm', '16B3748'),
    () => positionOfCommit('c:rm', '0/1'),
  ]
  for (const make of wrong) expect(make).toThrow(RangeError)
})

test('the published package has it, and what clients need, in plain JavaScript, with types and without a dependency', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'forebay-package-'))
  try {
    const forebay = join(folder, 'node_modules', 'forebay')
    await mkdir(forebay, { recursive: true })
    await cp('package.json', join(forebay, 'package.json'))
    await run('node_modules/.bin/tsc', ['-p', 'tsconfig.package.json', '--outDir', join(forebay, 'dist')])
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    await writeFile(
      join(folder, 'write.js'),
      `import { positionOf } from 'forebay/position'\nconsole.log(positionOf({ topic: 'a.b', partition: 1, offset: 2n }))`,
    )
    expect((await run(process.execPath, [join(folder, 'write.js')])).stdout).toBe('at:a.b-1-2\n')
    await writeFile(
      join(folder, 'write.ts'),
      `import { positionOf } from 'forebay/position'\nexport const token: string = positionOf({ topic: 'a.b', partition: 1, offset: 2n })\n// @ts-expect-error: a topic is a text\npositionOf({ topic: 1, partition: 1, offset: 2n })`,
    )
    await writeFile(
      join(folder, 'ask.js'),
      `import { asking, freshnessOf } from 'forebay/client'\nconsole.log(JSON.stringify([asking({ maxStaleness: '5s', after: ['a', 'b'] }), freshnessOf({ extensions: { freshness: { state: 'FRESH' } } }).state]))`,
    )
    expect(JSON.parse((await run(process.execPath, [join(folder, 'ask.js')])).stdout)).toEqual([
      { 'Forebay-Max-Staleness': '5s', 'Forebay-After': 'a,b' },
      'FRESH',
    ])
    await writeFile(
      join(folder, 'ask.ts'),
      `import { asking, freshnessOf, type Masked, type Tokenized } from 'forebay/client'
declare const email: Masked
declare const token: Tokenized
export const shown: string = email
// @ts-expect-error: a text is no masked value
export const masked: Masked = 'a***@e***.com'
// @ts-expect-error: a token is no masked value
export const other: Masked = token
export const asOf: string | null | undefined = freshnessOf({})?.views.Card?.asOf
// @ts-expect-error: not a word of it
asking({ onStale: 'never' })`,
    )
    const flags = [
      '--ignoreConfig',
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--types',
      '',
    ]
    await run('node_modules/.bin/tsc', [...flags, join(folder, 'write.ts'), join(folder, 'ask.ts')])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
