import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../../src/platform/embedded-postgres.ts'
import { found } from './find.ts'

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
  const dataDir = await mkdtemp(join(tmpdir(), 'forebay-source-'))
  const settings = { wal_level: 'logical', max_replication_slots: '16', max_wal_senders: '16', shared_buffers: '64MB' }
  const server = await startPostgres({ dataDir, settings })
  found('Source Postgres', 'embedded, wal_level=logical')
  return {
    url: server.url,
    async stop() {
      await server.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
