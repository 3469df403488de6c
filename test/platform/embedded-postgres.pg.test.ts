import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { runningPostgres, startPostgres } from '../../src/platform/embedded-postgres.ts'
import { connect } from '../../src/platform/postgres.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})
const folder = async (): Promise<string> => {
  const path = await mkdtemp(join(tmpdir(), 'forebay-embedded-'))
  cleanups.push(() => rm(path, { recursive: true, force: true }))
  return path
}
const settings = { fsync: 'off' }
const start = async (dataDir: string) => {
  const server = await startPostgres({ dataDir, settings })
  cleanups.push(() => server.stop())
  return server
}
const ask = async (url: string, statement: string) => {
  const sql = connect(url, { max: 1, name: 'test' })
  try {
    return await sql.unsafe(statement)
  } finally {
    await sql.end()
  }
}
const alive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
/** A process of its own that holds a Postgres. */
const holder = async (dataDir: string): Promise<{ child: ChildProcess; url: string; pid: number }> => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./hold-postgres.ts', import.meta.url)), dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  cleanups.push(async () => child.kill('SIGKILL'))
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string]
  return { child, ...(JSON.parse(line) as { url: string; pid: number }) }
}

test('what was written is there after a stop and a start, and the password is kept from others', async () => {
  const dataDir = join(await folder(), 'made', 'here')
  const first = await start(dataDir)
  await ask(first.url, 'create table kept as select 1 as one')
  const before = Date.now()
  await first.stop()
  await first.stop()
  expect(Date.now() - before).toBeLessThan(3_000)
  await first.exited
  const second = await start(dataDir)
  expect(await ask(second.url, 'select one from kept')).toEqual([{ one: 1 }])
  expect((await stat(join(dataDir, 'postgres', 'forebay.password'))).mode & 0o077).toBe(0)
  expect(await readdir(dataDir)).toEqual(['postgres'])
})

test('a stop does not wait for callers who are still at it', async () => {
  const server = await start(await folder())
  const sql = connect(server.url, { max: 1, name: 'test' })
  const sleeping = sql`select pg_sleep(60)`.catch((error: unknown) => error)
  await expect
    .poll(() => ask(server.url, `select 1 from pg_stat_activity where query like '%pg_sleep(60)' and state = 'active'`))
    .toHaveLength(1)
  const before = Date.now()
  await server.stop()
  expect(Date.now() - before).toBeLessThan(3_000)
  expect(await sleeping).toBeInstanceOf(Error)
  await sql.end({ timeout: 0 })
})

test('no one without the password gets in', async () => {
  const { url } = await start(await folder())
  const stranger = new URL(url)
  stranger.password = ''
  await expect(ask(stranger.href, 'select 1')).rejects.toThrow(/password/)
})

test('kill -9 of the parent leaves no orphan, and the folder starts again with what was committed', async () => {
  const dataDir = await folder()
  const { child, url, pid } = await holder(dataDir)
  await ask(url, 'create table kept as select 1 as one')
  expect(await runningPostgres(dataDir)).toBe(url)
  child.kill('SIGKILL')
  const next = await start(dataDir)
  expect(await ask(next.url, 'select one from kept')).toEqual([{ one: 1 }])
  await expect.poll(() => alive(pid), { timeout: 5_000 }).toBe(false)
})

test('Ctrl-C in the terminal, which reaches the whole process group, leaves the server to its owner', async () => {
  const { child, pid } = await holder(await folder())
  const group = await readFile(`/proc/${pid}/stat`, 'utf8').then((text) => Number(text.split(') ')[1]?.split(' ')[2]))
  expect(group).toBe(pid)
  expect(group).not.toBe(child.pid)
})

test('a server that dies by itself is told by exited', async () => {
  const server = await start(await folder())
  process.kill(server.pid, 'SIGKILL')
  await server.exited
  await server.stop()
})

test('a folder that a living Forebay uses is refused with its process id', async () => {
  const dataDir = await folder()
  const { pid } = await start(dataDir)
  await expect(start(dataDir)).rejects.toThrow(`its Postgres is process ${pid}`)
}, 20_000)

test('a lock left by a process id that is now another program is cleared', async () => {
  const dataDir = await folder()
  await (await start(dataDir)).stop()
  await writeFile(
    join(dataDir, 'postgres', 'postmaster.pid'),
    `${process.pid}\n${dataDir}/postgres\n1\n5432\n\n127.0.0.1\n1 1\nready\n`,
  )
  expect(await runningPostgres(dataDir)).toBeUndefined()
  const again = await start(dataDir)
  expect(await ask(again.url, 'select 1 as one')).toEqual([{ one: 1 }])
})

test('a start that was interrupted while making the cluster is made good', async () => {
  const dataDir = await folder()
  await mkdir(join(dataDir, 'postgres-draft-x'))
  await writeFile(join(dataDir, 'postgres-draft-x', 'PG_VERSION'), '18\n')
  const server = await start(dataDir)
  expect(await ask(server.url, 'select 1 as one')).toEqual([{ one: 1 }])
})

test('of two that start at once in a new folder one runs and the other says why not', async () => {
  const dataDir = await folder()
  const results = await Promise.allSettled([start(dataDir), start(dataDir)])
  const [won, lost] = results.sort((a, b) => a.status.localeCompare(b.status))
  expect(won).toMatchObject({ status: 'fulfilled' })
  expect(lost).toMatchObject({
    status: 'rejected',
    reason: { message: expect.stringMatching(/Another Forebay|did not start/) },
  })
  if (won?.status === 'fulfilled') expect(await ask(won.value.url, 'select 1 as one')).toEqual([{ one: 1 }])
})

test('a port that is taken is said in Postgres’s own words', async () => {
  const { url } = await start(await folder())
  await expect(startPostgres({ dataDir: await folder(), settings, port: Number(new URL(url).port) })).rejects.toThrow(
    /Address already in use[\s\S]*Set DATABASE_URL/,
  )
})
