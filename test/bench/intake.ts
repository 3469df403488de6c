/** What ingest does before maintenance, alone: the real source, pump, decoder and applier, with entries written to the dirty log. */
import { registerViews } from '../../src/ingest/generations.ts'
import { openIntake } from '../../src/ingest/intake.ts'
import { startObserver } from '../../src/ingest/source/observe.ts'
import { loadSchema } from '../../src/model/load.ts'
import { databaseClock } from '../../src/platform/clock.ts'
import { readConfig } from '../../src/platform/config.ts'
import { connect } from '../../src/platform/postgres.ts'

const config = readConfig(process.env)
const { databaseUrl, schema } = config
if (databaseUrl === undefined) throw new Error('DATABASE_URL is missing')
const loaded = await loadSchema(schema)
if (!loaded.ok) throw new Error('the schema has faults')
const { model } = loaded
const sql = connect(databaseUrl, { max: 4, name: 'ingest' })
const maxLagMs = 5_000
const clock = databaseClock(sql)
const intake = openIntake({
  config: { ...config, databaseUrl },
  model,
  sql,
  catalog: await registerViews(sql, model),
  clock,
  maxLagMs,
  applied: () => {},
  failed: (error) => {
    throw error
  },
})
startObserver({ sql, clock, source: intake.source, topics: intake.topics, maxLagMs })
await intake.start()
process.on('SIGTERM', () => process.exit(0))
