import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EmbeddedPostgres, startPostgres } from '../../src/platform/embedded-postgres.ts'
import { connect } from '../../src/platform/postgres.ts'
import { freePorts } from './child.ts'
import { found, run } from './find.ts'

export type SourcePostgres = { readonly url: string; stop(): Promise<void> }

/**
 * A Postgres as a source has it (wal_level=logical): TEST_SOURCE_DATABASE_URL, else the embedded one. It is the caller's
 * own: slots and publications are kept by server, so sharing one would let tests meet.
 */
export async function startSourcePostgres(): Promise<SourcePostgres> {
  const given = process.env.TEST_SOURCE_DATABASE_URL
  if (given) {
    found('Source Postgres', 'TEST_SOURCE_DATABASE_URL')
    return { url: given, stop: async () => {} }
  }
  return startOwnSource()
}

const settings = { wal_level: 'logical', max_replication_slots: '16', max_wal_senders: '16', shared_buffers: '64MB' }

/** One that a test may do anything to. It stays at its address. */
export type OwnSource = SourcePostgres & {
  /** Its cluster. */
  readonly cluster: string
  /** As a crash would end it. */
  kill(): Promise<void>
  /** An orderly shutdown. */
  shutdown(): Promise<void>
  start(): Promise<void>
}

/** `copyOf`: begins with the data of a server that is down. `at`: takes the address of one that is down, credentials included. */
export const startOwnSource = async (
  options: {
    readonly settings?: Readonly<Record<string, string>>
    readonly copyOf?: Pick<OwnSource, 'cluster'>
    readonly at?: OwnSource
    /** Ends as a standby that becomes the primary: on a timeline of its own. */
    readonly promote?: boolean
  } = {},
): Promise<OwnSource> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'forebay-source-'))
  if (options.copyOf) await run('cp', ['-a', options.copyOf.cluster, dataDir])
  if (options.promote) await run('touch', [join(dataDir, 'postgres', 'recovery.signal')])
  const port = options.at ? Number(new URL(options.at.url).port) : (await freePorts(1))[0]!
  const launch = () => startPostgres({ dataDir, port, settings: { ...settings, ...options.settings } })
  let server: EmbeddedPostgres | undefined = await launch()
  found('Source Postgres', 'embedded, wal_level=logical')
  if (options.at && !options.copyOf) await takePassword(server.url, options.at.url)
  const shutdown = async (): Promise<void> => {
    await server?.stop()
    server = undefined
  }
  return {
    url: (options.at ?? server).url,
    cluster: join(dataDir, 'postgres'),
    shutdown,
    async kill() {
      process.kill(server!.pid, 'SIGQUIT')
      await server!.exited
      server = undefined
    },
    async start() {
      server = await launch()
    },
    async stop() {
      await shutdown()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

const takePassword = async (url: string, from: string): Promise<void> => {
  const sql = connect(url, { max: 1, name: 'test administration' })
  await sql.unsafe(`alter role postgres password '${new URL(from).password}'`)
  await sql.end({ timeout: 1 })
}
