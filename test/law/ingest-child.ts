/** All of ingest on the journal, in a process of its own, to be killed. Told where by one message; ends with its parent. */
import { startIngest } from '../../src/ingest/main.ts'
import { readConfig } from '../../src/platform/config.ts'
import { connect } from '../../src/platform/postgres.ts'
import { loadModel } from './model.ts'

export type IngestWork = {
  readonly url: string
  readonly text: string
  readonly connections?: Readonly<Record<string, string>>
}

process.once('disconnect', () => process.exit())
process.once('message', async ({ url, text, connections = {} }: IngestWork) => {
  const fail = (error: Error): never => {
    throw error
  }
  const config = { ...readConfig({}), databaseUrl: url, connections }
  await startIngest({ config, model: await loadModel(text), sql: connect(url, { max: 5, name: 'law' }), failed: fail })
  process.send!('started')
})
