/** What is measured, each beside its limit or peer. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sql } from '../../../src/platform/postgres.ts'
import { type Message, random } from '../changes.ts'
import { memory, peakMemory } from '../process.ts'
import type { Figure, Goal } from '../report.ts'
import * as asking from './asking.ts'
import type { Result } from './client.ts'
import { appendAll, next } from './fill.ts'
import { type Server, startLimit, startPeer } from './servers.ts'
import { type Asked, figuresOf, inTurns, load, type Total } from './turns.ts'

export type Bench = {
  readonly gateway: Server
  readonly url: string
  readonly headers: asking.Headers
  readonly customers: number
  readonly connections: number
  readonly seconds: number
  readonly rounds: number
  /** Requests a second beside ingest, and what it applies meanwhile. */
  readonly beside: number
  readonly changes: number
  readonly distinct: number
  readonly sql: Sql
  readonly more: Generator<Message>
  /** The process that has all of Postgres's as its children. */
  readonly postgres: number
  /** Ended with the bench. */
  readonly keep: (server: Server) => Server
}
export type Outcome = { readonly figures: readonly Figure[]; readonly goals: readonly Goal[] }
export type Scenario = (bench: Bench) => Promise<Outcome>

const chance = random(7)
const drawn = (count: number, below: number): readonly number[] =>
  Array.from({ length: count }, () => Math.floor(chance() * below))
/** The k-th of n as often as 1/k. */
const zipf = (count: number, n: number): readonly number[] => {
  const sums: number[] = []
  for (let k = 1; k <= n; k++) sums.push((sums.at(-1) ?? 0) + 1 / k)
  return Array.from({ length: count }, () => {
    const at = chance() * sums.at(-1)!
    return sums.findIndex((sum) => sum >= at)
  })
}
const ids = (n: number): readonly string[] => Array.from({ length: n }, (_, i) => `c${i}`)
const ratio = (one: number, other: number): number => one / other

const key: Scenario = async (bench) => {
  const { gateway, url, headers, customers, connections, keep } = bench
  const all = ids(customers)
  const order = drawn(50_000, customers)
  const job = (requests: readonly asking.Request[]) => ({ requests, order, connections })
  const one = keep(await startLimit('limit: node:http + postgres.js', 'by-key.ts', [url, 'one']))
  const batch = keep(await startLimit('limit, batched', 'by-key.ts', [url, 'batch']))
  const mercurius = keep(await startPeer('Mercurius jit', 'mercurius.mjs', url))
  const postgraphile = keep(await startPeer('PostGraphile 5', 'postgraphile.mjs', url))
  const totals = await inTurns(
    [
      { server: { ...gateway, name: 'Forebay' }, job: job(asking.byKey(all, headers)) },
      { server: one, job: job(asking.byKeyOfLimit(all)) },
      { server: batch, job: job(asking.byKeyOfLimit(all)) },
      { server: mercurius, job: job(asking.byKey(all, {})) },
      { server: postgraphile, job: job(asking.byKeyOfPostGraphile(all)) },
    ],
    bench,
  )
  const [ours, bare, , jit, graphile] = totals as readonly [Total, Total, Total, Total, Total]
  return {
    figures: figuresOf('by key', totals),
    goals: [
      { name: 'by key: CPU a request over the limit’s', value: ratio(ours.cpu, bare.cpu), most: 1.5 },
      { name: 'by key: rate over PostGraphile’s', value: ratio(ours.rate, graphile.rate), least: 4 },
      { name: 'by key: rate over Mercurius’s', value: ratio(ours.rate, jit.rate), least: 1 },
    ],
  }
}

const list: Scenario = async (bench) => {
  const { gateway, url, headers, connections, keep } = bench
  const mercurius = keep(await startPeer('Mercurius jit', 'mercurius.mjs', url))
  const found = await asking.walk(gateway, headers)
  const firsts = found.map(({ first }) => first)
  const order = drawn(20_000, found.length)
  const job = (requests: readonly asking.Request[]) => ({ requests, order, connections })
  const own = found.map(({ cursor }) => cursor)
  const theirs = found.map((page) => page.key)
  const totals = await inTurns(
    [
      { server: { ...gateway, name: 'Forebay' }, job: job(asking.pages(own, firsts, headers)) },
      { server: mercurius, job: job(asking.pagesOfMercurius(theirs, firsts)) },
    ],
    bench,
  )
  const [ours, jit] = totals as readonly [Total, Total]
  return {
    figures: figuresOf(`list of ${asking.pageSize}`, totals),
    goals: [{ name: 'list: rate over Mercurius’s', value: ratio(ours.rate, jit.rate), least: 2 }],
  }
}

const hotKeys = 200
const hot: Scenario = async (bench) => {
  const { gateway, url, headers, connections, seconds, keep } = bench
  const limit = keep(await startLimit('limit: node:http + Map', 'hot.ts', [url, String(bench.customers)]))
  const order = zipf(50_000, hotKeys)
  const job = (requests: readonly asking.Request[]) => ({ requests, order, connections })
  const asked: readonly [Asked, Asked] = [
    { server: { ...gateway, name: 'Forebay' }, job: job(asking.byKey(ids(hotKeys), headers)) },
    { server: limit, job: job(asking.byKeyOfLimit(ids(hotKeys))) },
  ]
  const totals = await inTurns(asked, bench)
  const [ours, bare] = totals as readonly [Total, Total]
  const rate = Math.floor(ours.rate / 2)
  const half = await load({ ...asked[0].job, port: gateway.port, seconds, rate })
  return {
    figures: [
      ...figuresOf('hot keys', totals),
      {
        name: 'hot keys at half load: p99',
        value: half.latencies[99]!,
        unit: 'ms',
        against: `${rate} req/s, p50 ${half.latencies[50]!.toFixed(2)} ms`,
      },
    ],
    goals: [
      { name: 'hot keys: rate over the limit’s', value: ratio(ours.rate, bare.rate), least: 0.9 },
      { name: 'hot keys at half load: p99 in ms', value: half.latencies[99]!, most: 10 },
    ],
  }
}

const tickMs = 20
/** Appends changes at an even rate until it is told to end; says how many a second. */
const writeSteadily = ({ sql, more, changes }: Bench) => {
  let over = false
  const run = async (): Promise<number> => {
    const began = performance.now()
    let written = 0
    while (!over) {
      const due = Math.floor(((performance.now() - began) * changes) / 1_000) - written
      if (due > 0) await appendAll(sql, next(more, due))
      written += Math.max(0, due)
      await sleep(tickMs)
    }
    return (written * 1_000) / (performance.now() - began)
  }
  const running = run()
  return async (): Promise<number> => {
    over = true
    return await running
  }
}

const ingest: Scenario = async (bench) => {
  const { gateway, headers, customers, connections, seconds, rounds, beside } = bench
  const order = drawn(50_000, customers)
  const job = { requests: asking.byKey(ids(customers), headers), order, connections, rate: beside, port: gateway.port }
  const [quiet, busy]: [Result[], Result[]] = [[], []]
  const rates: number[] = []
  await load({ ...job, seconds: 2 })
  for (let round = 0; round < rounds; round++) {
    quiet.push(await load({ ...job, seconds }))
    const end = writeSteadily(bench)
    await sleep(1_000)
    busy.push(await load({ ...job, seconds }))
    rates.push(await end())
    await sleep(1_000)
  }
  const at = (results: readonly Result[], part: number): number => {
    const all = results.map(({ latencies }) => latencies[part]!).sort((a, b) => a - b)
    return all[Math.floor(all.length / 2)]!
  }
  const written = rates.reduce((sum, rate) => sum + rate, 0) / rates.length
  const faults = [...quiet, ...busy].reduce((sum, { failed, wrong }) => sum + failed + wrong, 0)
  return {
    figures: [
      {
        name: `by key at ${beside} req/s, quiet: p99`,
        value: at(quiet, 99),
        unit: 'ms',
        against: `p50 ${at(quiet, 50).toFixed(2)} ms`,
      },
      {
        name: `by key at ${beside} req/s, beside ingest: p99`,
        value: at(busy, 99),
        unit: 'ms',
        against: `p50 ${at(busy, 50).toFixed(2)} ms, ${Math.round(written)} changes/s written${faults > 0 ? `, ${faults} answers failed` : ''}`,
      },
    ],
    goals: [{ name: 'by key: p99 beside ingest over quiet', value: ratio(at(busy, 99), at(quiet, 99)), most: 2 }],
  }
}

const distinct: Scenario = async ({ gateway, headers, customers, connections, distinct: count }) => {
  const before = await memory(gateway.pid)
  const steps = 10
  const sizes: number[] = []
  let [requests, seconds, failed] = [0, 0, 0]
  for (let step = 0; step < steps; step++) {
    const some = Array.from({ length: Math.ceil(count / steps) }, (_, i) => {
      const id = `c${(step * 7919 + i) % customers}`
      const query = `query Q${step}_${i} { a${step}_${i}: customerOverview(id: "${id}") { id email tier recentOrders { id total } } }`
      return asking.post('/graphql', { query }, headers, `"id":"${id}"`)
    })
    const job = { requests: some, order: some.map((_, i) => i), connections, seconds: 600, most: some.length }
    const result = await load({ ...job, port: gateway.port })
    requests += result.requests
    seconds += result.seconds
    failed += result.failed + result.wrong
    sizes.push(await memory(gateway.pid))
  }
  const [half, last] = [sizes[steps / 2 - 1]!, sizes.at(-1)!]
  return {
    figures: [
      {
        name: 'distinct operations',
        value: requests,
        unit: 'asked',
        against: `${Math.round(requests / seconds)}/s, ${failed} failed`,
      },
      { name: 'resident size of the gateway before them', value: before, unit: 'MiB' },
      { name: 'after half of them', value: half, unit: 'MiB' },
      {
        name: 'after all of them',
        value: last,
        unit: 'MiB',
        against: `at most ${Math.round(await peakMemory(gateway.pid))}`,
      },
    ],
    goals: [{ name: 'distinct operations: size after all over after half', value: ratio(last, half), most: 1.1 }],
  }
}

export const scenarios: Readonly<Record<string, Scenario>> = { key, list, hot, ingest, distinct }
