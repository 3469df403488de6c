import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { type Child, freePorts, ready, startChild } from './child.ts'
import { dockerAnswers, found, installDebian, onPath, run } from './find.ts'
import { sharedService } from './services.ts'

export type RedisService = {
  readonly url: string
  stop(): Promise<void>
  /** As a machine that loses power. Not for a server that was given from outside: that one is left alone. */
  kill9(): Promise<void>
}

/** The run's shared Redis (flush nothing; use keys of your own); a server of the caller's own outside a run. */
export async function startRedis(): Promise<RedisService> {
  const shared = await sharedService('redis')
  if (shared === undefined) return ownRedis()
  const refuse = async (): Promise<void> => {
    throw new Error('This Redis is shared by the whole run: start one with ownRedis() to kill it.')
  }
  return { url: shared, stop: async () => {}, kill9: refuse }
}

/** A Redis of the caller's own, found by: TEST_REDIS_URL, redis-server on PATH, Docker, Debian's package. */
export async function ownRedis(options: { port?: number } = {}): Promise<RedisService> {
  const given = process.env.TEST_REDIS_URL
  if (given !== undefined && given !== '') {
    found('Redis', `TEST_REDIS_URL (${given})`)
    return { url: given, stop: async () => {}, kill9: async () => {} }
  }
  const port = options.port ?? ((await freePorts(1))[0] as number)
  const local = await onPath('redis-server')
  if (local !== undefined) return localRedis(local, port)
  if (await dockerAnswers()) return dockerRedis(port)
  const installed = (await installDebian(['redis-server'])) ? await onPath('redis-server') : undefined
  if (installed !== undefined) return localRedis(installed, port)
  throw new Error("Redis can't be started: install redis-server, start Docker, or set TEST_REDIS_URL.")
}

async function localRedis(binary: string, port: number): Promise<RedisService> {
  const folder = await mkdtemp(join(tmpdir(), 'forebay-redis-'))
  const child = startChild(binary, [...settings(port), '--dir', folder])
  await answers(port, child)
  found('Redis', `${binary} (port ${port})`)
  const ended = (): Promise<void> => rm(folder, { recursive: true, force: true })
  return {
    url: `redis://127.0.0.1:${port}`,
    stop: () => child.stop().then(ended),
    kill9: () => child.kill9().then(ended),
  }
}

async function dockerRedis(port: number): Promise<RedisService> {
  const name = `forebay-redis-${randomUUID()}`
  const child = startChild('docker', [
    'run',
    '--rm',
    '--network',
    'host',
    '--name',
    name,
    'redis:8',
    'redis-server',
    ...settings(port),
  ])
  await answers(port, child, 300_000)
  found('Redis', `Docker (port ${port})`)
  const end = async (): Promise<void> => {
    await run('docker', ['rm', '-f', name])
    await child.kill9()
  }
  return { url: `redis://127.0.0.1:${port}`, stop: end, kill9: end }
}

const settings = (port: number): string[] => [
  '--port',
  String(port),
  '--bind',
  '127.0.0.1',
  '--save',
  '',
  '--appendonly',
  'no',
]

/** Its process, to be stopped and continued; on this machine, as the servers above are. */
export async function pidOf(url: string): Promise<number> {
  const client = new Redis(url)
  const info = await client.info('server').finally(() => client.disconnect())
  return Number(/process_id:(\d+)/.exec(info)?.[1])
}

async function answers(port: number, child: Child, timeoutMs = 30_000): Promise<void> {
  const probe = async (): Promise<void> => {
    const client = new Redis(port, '127.0.0.1', { lazyConnect: true, retryStrategy: () => null })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.ping()
    } finally {
      client.disconnect()
    }
  }
  await ready('Redis', child, probe, timeoutMs)
}
