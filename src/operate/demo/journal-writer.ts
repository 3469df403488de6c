/** The simulation's records to the built-in journal. */
import { append, createTopics } from '../../ingest/source/journal.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { LogWriter } from './feeder.ts'

export const journalWriter = async (sql: Sql, topics: readonly string[]): Promise<LogWriter> => {
  await createTopics(sql, topics)
  return {
    write: async (records) => {
      for (const [topic, own] of Map.groupBy(records, (record) => record.topic)) {
        const bytes = own.map(({ key, value, headers }) => ({
          key: Buffer.from(key),
          value: value === null ? null : Buffer.from(value),
          headers,
        }))
        await append(sql, topic, bytes)
      }
    },
    close: async () => {},
  }
}
