/** The simulation's records to the built-in journal. */
import { append, createTopics } from '../../ingest/source/journal.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { LogWriter } from './feeder.ts'

export const journalWriter = async (sql: Sql, topics: readonly string[]): Promise<LogWriter> => {
  await createTopics(sql, topics)
  return {
    write: async (records) => {
      const byTopic = [...Map.groupBy(records, (record) => record.topic)].sort(([a], [b]) => (a < b ? -1 : 1))
      await sql.begin(async (tx) => {
        for (const [topic, own] of byTopic) {
          const bytes = own.map(({ key, value, headers }) => ({
            key: Buffer.from(key),
            value: value === null ? null : Buffer.from(value),
            headers,
          }))
          await append(tx, topic, bytes)
        }
      })
    },
    close: async () => {},
  }
}
