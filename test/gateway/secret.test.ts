import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { readSecret } from '../../src/gateway/access/secret.ts'

const folders: string[] = []
let dataDir: string
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'forebay-secret-'))
  folders.push(dataDir)
})
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))))

const read = (production = false, secret?: string) => readSecret({ secret, production, dataDir })

test('whoever starts at the same time ends with the same development secret, which nobody else may read', async () => {
  const secrets = await Promise.all(Array.from({ length: 50 }, () => read()))
  expect(new Set(secrets).size).toBe(1)
  expect(secrets[0]).toMatch(/^[0-9a-f]{64}$/)
  expect(await read()).toBe(secrets[0])
  expect(await readdir(dataDir)).toEqual(['secret'])
  expect((await stat(join(dataDir, 'secret'))).mode & 0o777).toBe(0o600)
})

test('a file without a secret in it is named', async () => {
  await writeFile(join(dataDir, 'secret'), '')
  await expect(read()).rejects.toThrow(/secret holds no secret; remove it/)
})

test('a short secret is refused, and in production a missing one', async () => {
  await expect(read(false, 'short')).rejects.toThrow('FOREBAY_SECRET')
  await expect(read(true)).rejects.toThrow('FOREBAY_SECRET')
  expect(await readdir(dataDir)).toEqual([])
})
