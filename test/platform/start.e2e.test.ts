import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type Child, startChild } from '../support/child.ts'
import { freshDatabase } from '../support/postgres.ts'
import { runCli } from './run-cli.ts'

const cli = join(import.meta.dirname, '../../src/cli.ts')
const declaration = `
extend enum Role { CLERK }
extend schema
  @domain(name: "shop", owner: "shop-team", source: { format: JSON, naming: AS_IS })
  @policy(role: CLERK, masked: [EMAIL])

type Customer @entity(domain: "shop", key: "id", source: { topic: "customers" }) {
  id: ID! @subject
  email: String! @pii(kind: EMAIL)
}
type Contact @view(of: "Customer", maxLag: "PT5S") @allow(roles: [CLERK]) {
  id: ID!
  email: String!
}
`
const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

type Place = { readonly schema: string; readonly env: Readonly<Record<string, string>> }
const place = async (sdl = declaration): Promise<Place> => {
  const folder = await mkdtemp(join(tmpdir(), 'forebay-start-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const schema = join(folder, 'schema')
  await mkdir(schema)
  await writeFile(join(schema, 'shop.graphql'), sdl)
  return { schema, env: { FOREBAY_SCHEMA: schema, FOREBAY_DATA: join(folder, 'data'), PORT: '0' } }
}
const start = (env: Readonly<Record<string, string>>, verb = 'start'): Child => {
  const child = startChild(process.execPath, [cli, verb], { env: { ...env, VITEST: '' } })
  cleanups.push(() => child.stop())
  return child
}
/** The address that the banner names. Throws what the process said when it ended instead. */
const listening = async (child: Child): Promise<string> => {
  const address = () => /(http:\S+)\/healthz/.exec(child.output())?.[1]
  const up = expect.poll(address, { timeout: 20_000 }).toBeDefined()
  await Promise.race([up, child.ended.then(() => Promise.reject(new Error(`ended: ${child.output()}`)))])
  return address() ?? ''
}
const token = async (env: Readonly<Record<string, string>>, role: string): Promise<string> =>
  (await runCli(['token', '--role', role], env)).stdout.trim()
const ready = (url: string) =>
  expect.poll(() => fetch(`${url}/readyz`).then(({ status }) => status), { timeout: 20_000 }).toBe(200)

const ask = async (url: string, bearer: string, id: string): Promise<unknown> => {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${bearer}` },
    body: JSON.stringify({ query: `{ contact(id: "${id}") { id email } }` }),
  })
  return ((await response.json()) as { data: unknown }).data
}

test('start runs everything from one folder, stops cleanly within 5 s and goes on where it was', async () => {
  const { env } = await place()
  const first = start(env)
  const url = await listening(first)
  await ready(url)
  const [writer, clerk] = await Promise.all([token(env, 'OPERATOR'), token(env, 'CLERK')])
  const posted = await fetch(`${url}/ingest/customers`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${writer}` },
    body: JSON.stringify({ id: '1', email: 'ann@example.com' }),
  })
  expect(posted.status).toBe(202)
  await expect
    .poll(() => ask(url, clerk, '1'))
    .toEqual({ contact: { id: '1', email: expect.not.stringContaining('ann@example.com') } })

  const before = Date.now()
  await first.stop(10_000)
  expect(await first.ended).toBe(0)
  expect(Date.now() - before).toBeLessThan(5_000)

  const second = start(env)
  const again = await listening(second)
  await ready(again)
  expect(await ask(again, clerk, '1')).toMatchObject({ contact: { id: '1' } })
})

test('one that is asked to stop says so to load balancers, answers on for as long as it was told to, and then stops', async () => {
  const { env } = await place()
  const running = start({ ...env, FOREBAY_DRAIN_NOTICE: 'PT10S' })
  const url = await listening(running)
  await ready(url)
  const clerk = await token(env, 'CLERK')
  const stopped = running.stop(60_000)
  const readiness = async () => {
    const answer = await fetch(`${url}/readyz`)
    return { status: answer.status, said: await answer.text() }
  }
  await expect.poll(readiness, { timeout: 9_000, interval: 50 }).toMatchObject({ status: 503 })
  expect((await readiness()).said).toContain('asked to stop')
  expect(await ask(url, clerk, '1')).toEqual({ contact: null })
  await stopped
  expect(await running.ended).toBe(0)
})

test('short verbs use the Postgres of the Forebay that runs, or one of their own', async () => {
  const { env } = await place()
  const running = start(env)
  await listening(running)
  const list = () => runCli(['quarantine', 'list'], env)
  expect(await list()).toEqual({ code: 0, stdout: 'Nothing is quarantined.\n', stderr: '' })
  await running.stop(10_000)
  expect(await list()).toEqual({ code: 0, stdout: 'Nothing is quarantined.\n', stderr: '' })
})

test('a schema with faults starts nothing and names them all', async () => {
  const { env } = await place(
    declaration.replace('of: "Customer"', 'of: "Custommer"').replace('masked: [EMAIL]', 'masked: [EMIAL]'),
  )
  const { code, stderr } = await runCli(['start'], env)
  expect(code).toBe(1)
  expect(stderr).toMatch(/shop\.graphql:\d+:\d+: .*Custommer/)
  expect(stderr).toMatch(/shop\.graphql:\d+:\d+: .*EMIAL/)
})

test.each(['ingest', 'gateway'])(
  '%s alone refuses a database that was not migrated, and says what to run',
  async (verb) => {
    const { env } = await place()
    const { url, drop } = await freshDatabase()
    cleanups.push(drop)
    const { code, stderr } = await runCli([verb], { ...env, DATABASE_URL: url })
    expect(code).toBe(1)
    expect(stderr).toContain('forebay migrate')
  },
)

test('two halves in two processes answer from one database', async () => {
  const { env } = await place()
  const { url: DATABASE_URL, drop } = await freshDatabase()
  cleanups.push(drop)
  const shared = { ...env, DATABASE_URL }
  expect(await runCli(['migrate', '--generate'], shared)).toMatchObject({ code: 0 })
  expect(await runCli(['migrate'], shared)).toMatchObject({ code: 0 })
  const [ingest, gateway] = [start(shared, 'ingest'), start(shared, 'gateway')]
  const [into, out] = await Promise.all([listening(ingest), listening(gateway)])
  const [writer, clerk] = await Promise.all([token(env, 'OPERATOR'), token(env, 'CLERK')])
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${writer}` }
  expect(
    (await fetch(`${into}/ingest/customers`, { method: 'POST', headers, body: '{"id":"7","email":"x@y.example"}' }))
      .status,
  ).toBe(202)
  expect((await fetch(`${out}/ingest/customers`, { method: 'POST', headers, body: '{}' })).status).toBe(404)
  expect((await fetch(`${into}/graphql`)).status).toBe(404)
  await expect.poll(() => ask(out, clerk, '7'), { timeout: 20_000 }).toMatchObject({ contact: { id: '7' } })
})

test('an embedded Postgres that dies ends the run with exit 1 and says so', async () => {
  const { env } = await place()
  const running = start(env)
  await listening(running)
  const lock = await readFile(join(env.FOREBAY_DATA ?? '', 'postgres', 'postmaster.pid'), 'utf8')
  process.kill(Number(lock.split('\n')[0]), 'SIGKILL')
  expect(await running.ended).toBe(1)
  expect(running.output()).toContain('ended by itself')
})
