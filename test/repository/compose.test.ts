import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { readConfig } from '../../src/platform/config.ts'
import { run } from '../support/find.ts'

type Service = {
  image?: string
  build?: string
  command?: string[]
  entrypoint?: string[]
  environment?: Record<string, string | number>
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { test?: unknown; disable?: boolean }
  restart?: string
  volumes?: string[]
}
type Compose = { services: Record<string, Service>; volumes: Record<string, null> }

const root = join(import.meta.dirname, '../..')
const read = (name: string): string => readFileSync(join(root, name), 'utf8')
const { services, volumes } = parse(read('docker-compose.yml'), { merge: true }) as Compose
const each = Object.entries(services)
/** As compose fills them in: `${NAME:-otherwise}` without NAME. */
const filled = (value: string | number): string => String(value).replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1')
const environment = (service: Service): Record<string, string> =>
  Object.fromEntries(Object.entries(service.environment ?? {}).map(([name, value]) => [name, filled(value)]))
const ours = each.filter(([, { image }]) => image === 'forebay')

test('Docker Compose accepts the file, where its client is here', async () => {
  const version = await run('docker', ['compose', 'version']).catch(() => undefined)
  if (version !== undefined)
    await run('docker', ['compose', '--file', join(root, 'docker-compose.yml'), 'config', '--quiet'])
})

test('a service waits only for what is there, and only for what it can become', () => {
  for (const [name, { depends_on = {} }] of each)
    for (const [other, { condition }] of Object.entries(depends_on)) {
      const awaited = services[other]
      expect(awaited, `${name} waits for ${other}`).toBeDefined()
      if (condition === 'service_healthy')
        expect(awaited?.healthcheck?.test, `${other} has a health check`).toBeDefined()
      else expect([condition, awaited?.restart]).toEqual(['service_completed_successfully', 'no'])
    }
})

test('every named volume is declared and used', () => {
  const used = each.flatMap(([, service]) => (service.volumes ?? []).map((volume) => volume.split(':')[0]))
  expect([...new Set(used)].sort()).toEqual(Object.keys(volumes).sort())
})

test('what a service connects to is a service, and Forebay takes its environment', () => {
  expect(ours.map(([name]) => name).sort()).toEqual(['connectors', 'gateway', 'ingest', 'migrate', 'shop'])
  for (const [name, service] of ours) {
    const env = environment(service)
    expect(() => readConfig(env, { always: ['DATABASE_URL'] }), name).not.toThrow()
    const urls = ['DATABASE_URL', 'REDIS_URL', 'SOURCE_DATABASE_URL', 'CONNECT_URL'].map((key) => env[key] ?? '')
    const hosts = [...urls.map((url) => new URL(url).hostname), ...(env.KAFKA_BROKERS ?? '').split(':').slice(0, 1)]
    expect(hosts).toEqual(['postgres', 'redis', 'source', 'connect', 'kafka'])
  }
})

test("a service's databases have the user, password and name that its URLs say", () => {
  const env = environment(services.ingest ?? {})
  for (const [name, url] of [
    ['postgres', env.DATABASE_URL],
    ['source', env.SOURCE_DATABASE_URL],
  ] as const) {
    const { username, password, pathname } = new URL(url ?? '')
    const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } = environment(services[name] ?? {})
    expect([username, password, pathname.slice(1)]).toEqual([POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB])
  }
})

test('what the image runs and copies exists, and the build is given it', () => {
  for (const [name, { entrypoint }] of ours)
    if (entrypoint) expect(existsSync(join(root, entrypoint[1] ?? '')), `${name}: ${entrypoint[1]}`).toBe(true)
  const given = read('.dockerignore')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1))
  const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = '']) =>
    paths.split(' '),
  )
  expect([...new Set(copied)].sort()).toEqual(given.sort())
  for (const path of given) expect(existsSync(join(root, path)), path).toBe(true)
})
