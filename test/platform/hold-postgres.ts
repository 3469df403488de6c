/** Starts a Postgres in the folder given, says its address and process id, and holds it until killed. */
import { startPostgres } from '../../src/platform/embedded-postgres.ts'

const { url, pid } = await startPostgres({ dataDir: process.argv[2] ?? '', settings: { fsync: 'off' } })
process.stdout.write(`${JSON.stringify({ url, pid })}\n`)
