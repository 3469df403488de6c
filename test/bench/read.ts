/**
 * Reads, every feature on: token, verdict, masks, tenancy, freshness, beside an ingest that keeps the rows up. Each figure is paired, turn by turn in the
 * same run, with its limit or peers. Load, servers and Postgres share the machine's cores.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { developmentToken } from '../../src/operate/token.ts'
import { readConfig } from '../../src/platform/config.ts'
import { startPostgres } from '../../src/platform/embedded-postgres.ts'
import { connect } from '../../src/platform/postgres.ts'
import { peakMemory } from './process.ts'
import { fill, isWorkedIn, showToPeers } from './read/fill.ts'
import { type Bench, type Outcome, scenarios } from './read/scenarios.ts'
import { type Server, startHalf } from './read/servers.ts'
import { report } from './report.ts'

const folder = join(import.meta.dirname, 'schema')
export type ReadOptions = Pick<
  Bench,
  'customers' | 'connections' | 'seconds' | 'rounds' | 'beside' | 'changes' | 'distinct'
> & { readonly scenarios: readonly string[] }

export const benchRead = async (options: ReadOptions): Promise<void> => {
  const unknown = options.scenarios.filter((name) => !(name in scenarios))
  if (unknown.length > 0) throw new Error(`no scenario ${unknown.join()}; there are ${Object.keys(scenarios).join()}`)
  const dataDir = await mkdtemp(join(tmpdir(), 'forebay-bench-'))
  const postgres = await startPostgres({ dataDir })
  const sql = connect(postgres.url, { max: 4, name: 'bench' })
  const servers: Server[] = []
  const keep = (server: Server): Server => {
    servers.push(server)
    return server
  }
  try {
    const { table, more } = await fill(sql, folder, options.customers)
    const env = {
      FOREBAY_SCHEMA: folder,
      DATABASE_URL: postgres.url,
      PORT: '0',
      FOREBAY_DATA: dataDir,
      FOREBAY_LOG: 'info',
    }
    keep(await startHalf('ingest', env))
    while (!(await isWorkedIn(sql))) await sleep(200)
    await sql`vacuum analyze`
    await showToPeers(sql, table)
    const gateway = keep(await startHalf('gateway', env))
    const token = await developmentToken(readConfig(env), { roles: ['AGENT'], tenant: 'acme' })
    const bench: Bench = {
      ...options,
      gateway,
      url: postgres.url,
      headers: { Authorization: `Bearer ${token}` },
      sql,
      more,
      postgres: postgres.pid,
      keep,
    }
    const outcomes: Outcome[] = []
    for (const name of options.scenarios) {
      const kept = servers.length
      outcomes.push(await scenarios[name]!(bench))
      for (const { child } of servers.splice(kept)) await child.stop()
    }
    const size = { name: 'peak memory of the gateway', value: await peakMemory(gateway.pid), unit: 'MiB' }
    report(
      'read',
      [...outcomes.flatMap(({ figures }) => figures), size],
      outcomes.flatMap(({ goals }) => goals),
    )
  } finally {
    for (const { child } of servers.reverse()) await child.stop()
    await sql.end({ timeout: 1 })
    await postgres.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}
