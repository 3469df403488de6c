import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli } from './run-cli.ts'

let dataDir: string
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'forebay-cli-'))
})
afterAll(() => rm(dataDir, { recursive: true, force: true }))
const cli = (args: string, env: Record<string, string> = {}) =>
  runCli(args.split(' ').filter(Boolean), { FOREBAY_DATA: dataDir, ...env })

const running = [
  ...['start', 'ingest', 'gateway', 'demo', 'check', 'migrate', 'token', 'replay', 'quarantine'],
  ...['rebuild', 'reconcile', 'explain'],
]
const later = ['erase', 'archive']

describe('help', () => {
  test('on the whole lists every verb, those that are not running yet apart', async () => {
    const { code, stdout, stderr } = await cli('--help')
    expect([code, stderr]).toEqual([0, ''])
    const [first = '', second = ''] = stdout.split('Not running yet:')
    for (const verb of running) expect(first).toMatch(new RegExp(`^  ${verb} `, 'm'))
    for (const verb of later) expect(second).toMatch(new RegExp(`^  ${verb}\\b`, 'm'))
  })

  test.each([...running, ...later])('on %s', async (verb) => {
    const { code, stdout } = await cli(`${verb} --help`)
    expect(code).toBe(0)
    expect(stdout).toMatch(new RegExp(`^forebay ${verb} `))
    expect(stdout.includes('Not running yet.')).toBe(later.includes(verb))
    expect(stdout).toContain('--help')
  })
})

describe('wrong use is exit 2, on standard error', () => {
  test.each([
    ['', 'Verbs'],
    ['strat', 'Did you mean start?'],
    ['qarantine list', 'Did you mean quarantine?'],
    ['completely-else', 'There is no verb "completely-else".'],
    ['token', 'needs a --role'],
    ['token --role', '--role'],
    ['token --role A --ttl 8h', '--ttl 8h'],
    ['token --role A --claim roles=ADMIN', '--claim roles'],
    ['token --roel A', "Unknown option '--roel'"],
    ['start now', 'forebay start takes no "now"'],
    ['demo --rate fast', '--rate fast: write a whole number'],
    ['demo --size huge', '--size huge: write'],
    ['quarantine', 'quarantine list'],
    ['quarantine show', 'quarantine list'],
    ['quarantine show abc', 'the id is the number'],
    ['quarantine list --state ODD', '--state ODD: write PARKED'],
    ['quarantine redrive', '--entity ENTITY, --topic TOPIC and --all'],
    ['quarantine redrive 1 --all', 'write ids, or one of'],
    ['quarantine drop 1', '--reason TEXT'],
    ['quarantine drop --reason x', 'write the ids'],
    ['replay', '--new-epoch TOPIC'],
  ])('forebay %s', async (args, said) => {
    const { code, stdout, stderr } = await cli(args)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(said)
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  test.each(later)('forebay %s says that it is not running yet', async (args) => {
    const { code, stderr } = await cli(args)
    expect(code).toBe(2)
    expect(stderr).toContain('is not running yet')
  })

  test('an environment with faults, all of them at once', async () => {
    const { code, stderr } = await cli('ingest', { PORT: 'x', REDIS_URL: 'nonsense', KAFKA_BROKERS: 'a' })
    expect(code).toBe(2)
    for (const name of ['PORT', 'REDIS_URL', 'KAFKA_BROKERS', 'DATABASE_URL'])
      expect(stderr).toMatch(new RegExp(`^  ${name} `, 'm'))
  })

  test.each(['start', 'gateway'])('%s in production without the identity provider’s keys', async (verb) => {
    const { code, stderr } = await cli(verb, { NODE_ENV: 'production', DATABASE_URL: 'postgres://h/d' })
    expect(code).toBe(2)
    expect(stderr).toMatch(/^ {2}JWKS_URL is missing/m)
    expect(stderr).toMatch(/^ {2}FOREBAY_SECRET is missing/m)
  })
})

describe('token', () => {
  test('prints the token alone', async () => {
    const { code, stdout, stderr } = await cli(
      'token --role AGENT --role FRAUD --tenant acme --scope a --scope b --claim warehouses=w1,w2 --ttl PT1H',
    )
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/)
    const claims = JSON.parse(Buffer.from(stdout.split('.')[1] ?? '', 'base64url').toString())
    expect(claims).toMatchObject({ roles: ['AGENT', 'FRAUD'], tenant: 'acme', scope: 'a b', warehouses: ['w1', 'w2'] })
    expect(await readdir(dataDir)).toEqual(['dev-key.json'])
  })

  test('is refused in production, with exit 1', async () => {
    const { code, stdout, stderr } = await cli('token --role ADMIN', { NODE_ENV: 'production' })
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain('not made in production')
  })
})

test('a Postgres that is not there is exit 1, with its place and without its password', async () => {
  const { code, stderr } = await cli('quarantine list', { DATABASE_URL: 'postgres://forebay:hunter2@127.0.0.1:1/shop' })
  expect(code).toBe(1)
  expect(stderr).toContain("Postgres at 127.0.0.1:1/shop can't be reached")
  expect(stderr).not.toContain('hunter2')
})

describe('check', () => {
  test('of the reference schema is exit 0, as text and as JSON', async () => {
    const schema = join(import.meta.dirname, '../../schema')
    expect(await cli('check', { FOREBAY_SCHEMA: schema })).toMatchObject({ code: 0, stderr: '' })
    const { code, stdout } = await cli(`check ${schema} --json`)
    expect([code, typeof JSON.parse(stdout)]).toEqual([0, 'object'])
  })

  test('of a folder that is not there is exit 1', async () => {
    const { code, stdout, stderr } = await cli(`check ${join(dataDir, 'nowhere')}`)
    expect(code).toBe(1)
    expect(stdout + stderr).toContain('nowhere')
    expect(stdout + stderr).not.toMatch(/^\s+at /m)
  })
})
