/** What people are told of views whose rows are kept for a time: `forebay check`, `check --cost`, `explain view`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KEEPING, type Keeping, openKeeping, placed } from '../law/keeping.ts'
import { run } from '../support/find.ts'

let keeping: Keeping
let folder: string
beforeAll(async () => {
  keeping = await openKeeping()
  folder = await mkdtemp(join(tmpdir(), 'forebay-retention-'))
  await keeping.stage.apply(0, placed('old', 31, 1), placed('new', 29, 2))
  await keeping.stage.drain()
  await keeping.floors.move()
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await keeping?.stage.close()
})
const forebay = async (text: string, ...args: string[]): Promise<string> => {
  await writeFile(join(folder, 'shop.graphql'), text)
  const env = { ...process.env, DATABASE_URL: keeping.stage.database.url, FOREBAY_SCHEMA: folder }
  return (await run(process.execPath, ['src/cli.ts', ...args], { env })).stdout
}

test('check says whose rows go, when and by what', async () => {
  expect(await forebay(KEEPING(), 'check')).toContain(
    "note: rows of ByDay go 30 days after day, and late changes don't bring them back; what they are of stays",
  )
  expect(JSON.parse(await forebay(KEEPING(), 'check', '--json'))).toMatchObject({
    viewRetentions: expect.arrayContaining([{ view: 'Recent', ttlMs: 30 * 86_400_000, on: 'placedAt' }]),
  })
})

test('check --cost says what another ttl costs, and what a shorter one takes away', async () => {
  const costOf = async (text: string) => (await forebay(text, 'check', '--cost')).split('\n')
  expect(await costOf(KEEPING())).toContain('Recent          nothing')
  const shorter = await costOf(KEEPING(7))
  expect(shorter).toContainEqual(expect.stringMatching(/^Recent {10}rebuild of 2 keys/))
  expect(shorter).toContain(
    '                breaking for clients: rows of Recent go 7 days after placedAt, no longer 30 days after placedAt',
  )
  const longer = await costOf(KEEPING(60))
  expect(longer).toContainEqual(expect.stringMatching(/^Recent {10}rebuild of 2 keys/))
  expect(longer.filter((line) => line.includes('breaking'))).toEqual([])
})

test('explain says up to when rows are gone, and by which index they are found', async () => {
  const text = await forebay(KEEPING(), 'explain', 'view', 'Recent')
  expect(text).toMatch(/^ {2}rows go 30 days after placedAt; those before \d{4}-\d\d-\d\dT\S+Z are gone$/m)
  expect(text).toMatch(/path \d+: its floor, as it moves past placedAt → keys of Recent, by what is stored of them/)
  expect(text).toMatch(/indexes {2}recent_\w+_expiry, view_floors_pkey|indexes {2}view_floors_pkey, recent_\w+_expiry/)
  expect(text).not.toContain('READS ALL OF')
})
