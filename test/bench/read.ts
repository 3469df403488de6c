/**
 * Reads by key at random, every feature on: token, verdict, masks, tenancy, freshness. Paired, turn by turn in the same run, with
 * node:http and postgres.js passing the row's text through.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createApplier } from '../../src/ingest/apply/apply.ts'
import { itemOf } from '../../src/ingest/apply/stretch.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import { registerViews } from '../../src/ingest/generations.ts'
import { startMaintainer } from '../../src/ingest/maintain/maintainer.ts'
import { loadSchema } from '../../src/model/load.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import { developmentToken } from '../../src/operate/token.ts'
import { readConfig } from '../../src/platform/config.ts'
import { startPostgres } from '../../src/platform/embedded-postgres.ts'
import { connect } from '../../src/platform/postgres.ts'
import { type Child, startChild } from '../support/child.ts'
import { changes, random } from './changes.ts'
import { type Ask, type LoadResult, load } from './load.ts'
import { childOf, cpuSeconds, peakMemory } from './process.ts'
import { quantile, report } from './report.ts'

const folder = join(import.meta.dirname, 'schema')
export type ReadOptions = {
  readonly customers: number
  readonly connections: number
  readonly seconds: number
  readonly rounds: number
}

const query =
  'query($id: ID!) { customerOverview(id: $id) { id email fullName tier note orderCount spent lastOrderAt recentOrders { id status total placedAt paymentStatus carrier } } }'

export const benchRead = async (options: ReadOptions): Promise<void> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'forebay-bench-'))
  const postgres = await startPostgres({ dataDir })
  const children: Child[] = []
  try {
    const { table } = await fill(postgres.url, options.customers)
    const env = {
      FOREBAY_SCHEMA: folder,
      DATABASE_URL: postgres.url,
      PORT: '0',
      FOREBAY_DATA: dataDir,
      FOREBAY_LOG: 'info',
    }
    const token = await developmentToken(readConfig({ ...env }), { roles: ['AGENT'], tenant: 'acme' })
    const gateway = startChild(join(import.meta.dirname, '../../bin/forebay'), ['gateway'], { env })
    const limit = startChild(process.execPath, [join(import.meta.dirname, 'limits/bare-read.ts'), postgres.url, table])
    children.push(gateway, limit)
    const gatewayPort = await portOf(gateway, /http:\/\/[^:]+:(\d+)\/graphql/)
    const limitPort = await portOf(limit, /listening on (\d+)/)

    const chance = random(3)
    const id = () => `c${Math.floor(chance() * options.customers)}`
    const askGateway: Ask = () => {
      const key = id()
      return {
        path: '/graphql',
        headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
        body: JSON.stringify({ query, variables: { id: key } }),
        good: (text) => text.includes(`"id":"${key}"`) && !text.includes('"errors"'),
      }
    }
    const askLimit: Ask = () => {
      const key = id()
      return {
        path: '/',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ id: key }),
        good: (text) => text.includes(`"id":"${key}"`),
      }
    }
    await load(gatewayPort, options.connections, 3, askGateway)
    await load(limitPort, options.connections, 3, askLimit)
    const [pids, ours, bare] = [
      [await childOf(gateway.pid), await childOf(limit.pid)] as const,
      new Tally(),
      new Tally(),
    ]
    for (let round = 0; round < options.rounds; round++) {
      await ours.add(pids[0], () => load(gatewayPort, options.connections, options.seconds, askGateway))
      await bare.add(pids[1], () => load(limitPort, options.connections, options.seconds, askLimit))
    }
    report('read', [
      { name: 'limit: node:http + postgres.js', value: bare.rate(), unit: 'req/s' },
      { name: 'limit, CPU a request', value: bare.micros(), unit: 'µs' },
      {
        name: 'by key at random',
        value: ours.rate(),
        unit: 'req/s',
        against: `${(ours.rate() / bare.rate()).toFixed(2)} × the limit`,
      },
      {
        name: 'by key, CPU a request',
        value: ours.micros(),
        unit: 'µs',
        against: `${(ours.micros() / bare.micros()).toFixed(2)} × the limit`,
      },
      { name: 'by key p50', value: quantile(ours.latencies, 0.5), unit: 'ms' },
      { name: 'by key p99', value: quantile(ours.latencies, 0.99), unit: 'ms' },
      { name: 'failed', value: ours.failed + bare.failed, unit: 'requests' },
      { name: 'peak memory of the gateway', value: await peakMemory(pids[0]), unit: 'MiB' },
    ])
  } finally {
    for (const child of children) await child.stop()
    await postgres.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

class Tally {
  latencies: number[] = []
  failed = 0
  #seconds = 0
  #cpu = 0
  async add(pid: number, run: () => Promise<LoadResult>): Promise<void> {
    const before = await cpuSeconds(pid)
    const result = await run()
    this.#cpu += (await cpuSeconds(pid)) - before
    this.#seconds += result.seconds
    this.failed += result.failed
    this.latencies.push(...result.latencies)
  }
  rate = () => this.latencies.length / this.#seconds
  micros = () => (this.#cpu / this.latencies.length) * 1e6
}

const fill = async (url: string, customers: number): Promise<{ table: string }> => {
  const sql = connect(url, { max: 4, name: 'bench' })
  const own = connect(url, { max: 1, name: 'bench maintain' })
  try {
    const loaded = await loadSchema(folder)
    if (!loaded.ok) throw new Error('the bench schema has faults: forebay check says which')
    await installModel(sql, loaded.model)
    const catalog = await registerViews(sql, loaded.model)
    const applier = createApplier(sql, loaded.model, catalog)
    const decoder = createDecoder(loaded.model)
    const next = new Map(decoder.topics.map((topic) => [topic, 0n]))
    for (const topic of decoder.topics)
      await sql`insert into forebay.positions (topic, partition, next_offset) values (${topic}, 0, 0)`
    const all = [...changes(customers * 12, customers)]
    for (let start = 0; start < all.length; start += 10_000) {
      const byTopic = Map.groupBy(all.slice(start, start + 10_000), ({ topic }) => topic)
      const stretches = [...byTopic].map(([topic, messages]) => {
        const from = next.get(topic)!
        next.set(topic, from + BigInt(messages.length))
        const items = messages.map(({ key, value }, i) => {
          const record = {
            topic,
            partition: 0,
            offset: from + BigInt(i),
            timestamp: Date.now(),
            key: Buffer.from(key),
            value: Buffer.from(value),
            headers: {},
          }
          return itemOf(record, decoder.decode(record, 0))
        })
        return { topic, partition: 0, from, to: next.get(topic)!, epoch: 0, items }
      })
      const result = await applier.apply(stretches)
      if (result.kind !== 'applied' || result.parked)
        throw new Error(`the bench's own data did not apply: ${JSON.stringify(result)}`)
    }
    await sql`update forebay.positions set frontier = clock_timestamp(), observed_at = clock_timestamp(), observed_end = next_offset`
    const maintainer = startMaintainer({ sql: own, catalog, published: async () => {}, auto: false })
    while ((await maintainer.round(20_000)).entries > 0);
    await maintainer.stop()
    await sql`vacuum analyze`
    return { table: catalog.generations[0]!.table.table }
  } finally {
    await own.end()
    await sql.end()
  }
}

const portOf = async (child: Child, pattern: RegExp): Promise<number> => {
  for (;;) {
    const found = pattern.exec(child.output())
    if (found) return Number(found[1])
    if (!child.alive()) throw new Error(`ended before it listened:\n${child.output()}`)
    await sleep(50)
  }
}
