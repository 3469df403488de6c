import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

type Demo = {
  readonly child: ChildProcess
  readonly url: string
  readonly tokens: ReadonlyMap<string, string>
  said(): string
}
type Answer = {
  readonly data?: { readonly customerOverview?: Record<string, unknown> | null } | null
  readonly errors?: readonly { readonly extensions?: { readonly code?: string } }[]
  readonly extensions?: { readonly freshness?: { readonly state?: string; readonly lagMs?: number } }
}

const readme = await readFile('README.md', 'utf8')
const blocks = (language: string): string[] =>
  [...readme.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(([, text = '']) => text)
const query = blocks('graphql')[0] ?? ''

/** What `npm run demo` runs. */
const [command = '', ...words] = (
  JSON.parse(await readFile('package.json', 'utf8')) as { scripts: { demo: string } }
).scripts.demo.split(' ')

let dataDir: string
const startDemo = async (...options: string[]): Promise<Demo> => {
  const { KAFKA_BROKERS: _k, DATABASE_URL: _d, REDIS_URL: _r, NODE_ENV: _n, VITEST: _v, ...env } = process.env
  const child = spawn(command, [...words, ...options], {
    env: { ...env, FOREBAY_DATA: dataDir, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (said += chunk))
  const deadline = Date.now() + 40_000
  while (!said.includes('A first query')) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`the demo did not start:\n${said}`)
    await sleep(50)
  }
  const url = /http:\S+\/graphql\b/.exec(said)?.[0] ?? ''
  const tokens = new Map(
    [...said.matchAll(/^ {2}([A-Z]+) +(eyJ\S+)$/gm)].map(([, role = '', token = '']) => [role, token]),
  )
  return { child, url, tokens, said: () => said }
}
const ask = async ({ url, tokens }: Demo, role: string, text = query): Promise<Answer> => {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${tokens.get(role)}` },
    body: JSON.stringify({ query: text }),
  })
  return (await response.json()) as Answer
}
const commandLines = async (): Promise<string[]> => {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  return Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
}
const stop = async ({ child, said }: Demo): Promise<{ ms: number; code: number | null }> => {
  const began = performance.now()
  const exited = once(child, 'exit')
  child.kill('SIGINT')
  await Promise.race([exited, sleep(15_000)])
  if (child.exitCode === null) child.kill('SIGKILL')
  if (child.exitCode !== 0) console.error(said())
  return { ms: performance.now() - began, code: child.exitCode }
}

describe('forebay demo', () => {
  let demo: Demo
  let startedMs: number
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'forebay-demo-'))
    const began = performance.now()
    demo = await startDemo()
    await ask(demo, 'AGENT')
    startedMs = performance.now() - began
  })
  afterAll(async () => {
    if (demo?.child.exitCode === null) await stop(demo)
    await rm(dataDir, { recursive: true, force: true })
  })

  test('answers its first query within 20 s of the start, and freshly', async () => {
    expect(startedMs).toBeLessThan(20_000)
    const deadline = Date.now() + 10_000
    let state: string | undefined
    while (state !== 'FRESH' && Date.now() < deadline) {
      state = (await ask(demo, 'AGENT')).extensions?.freshness?.state
      await sleep(100)
    }
    expect(state).toBe('FRESH')
  })

  test("answers the README's query masked for AGENT, clear for FRAUD, not at all for GATEWAY, as the README says", async () => {
    const [agent, fraud] = [await ask(demo, 'AGENT'), await ask(demo, 'FRAUD')]
    const shown = blocks('json').map((text) => JSON.parse(text) as Answer)
    for (const [index, answer] of [agent, fraud].entries()) {
      expect(answer.errors).toBeUndefined()
      expect(answer.data?.customerOverview?.email).toBe(shown[index]?.data?.customerOverview?.email)
    }
    expect(agent.data?.customerOverview?.email).not.toBe(fraud.data?.customerOverview?.email)
    expect(fraud.data?.customerOverview?.email).toMatch(/^[a-z.]+1001@example\.com$/)
    const orders = agent.data?.customerOverview?.recentOrders as { lines: { product: string | null }[] }[]
    expect(orders.length).toBeGreaterThan(2)
    expect(orders[0]?.lines[0]?.product).toEqual(expect.any(String))
    const gateway = await ask(demo, 'GATEWAY')
    expect(gateway.errors?.[0]?.extensions?.code).toBe('FORBIDDEN')
    expect(gateway.data ?? null).toBeNull()
  })

  test('keeps changing what it answers', async () => {
    const orders = `{ customerOverviews(first: 100) { edges { node { id orderCount lastOrderAt } } } }`
    const before = JSON.stringify((await ask(demo, 'AGENT', orders)).data)
    expect(before).toContain('orderCount')
    const deadline = Date.now() + 20_000
    while (JSON.stringify((await ask(demo, 'AGENT', orders)).data) === before) {
      expect(Date.now()).toBeLessThan(deadline)
      await sleep(200)
    }
  })

  test('stays within 400 MB', async () => {
    const status = await readFile(`/proc/${demo.child.pid}/status`, 'utf8')
    expect(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024).toBeLessThan(400)
  })

  test('stops on Ctrl-C within 5 s, leaves nothing running, and goes on at the next start', async () => {
    const { ms, code } = await stop(demo)
    expect(code).toBe(0)
    expect(ms).toBeLessThan(5_000)
    expect((await commandLines()).filter((line) => line.includes(resolve(dataDir)))).toEqual([])
    demo = await startDemo('--no-faults')
    const again = await ask(demo, 'FRAUD')
    expect(again.data?.customerOverview?.id).toBe('C-1001')
    expect((await stop(demo)).code).toBe(0)
  })
})
