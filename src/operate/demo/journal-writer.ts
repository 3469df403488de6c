/** The simulation's records to the built-in journal, in one transaction with the simulation's own state. */
import { append } from '../../ingest/source/journal.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { LogWriter } from './feeder.ts'

export const journalWriter = (sql: Sql): LogWriter => ({
  write: (records, save) =>
    sql.begin(async (tx) => {
      // In one order of topics, so that two writers can't wait for each other.
      const byTopic = [...Map.groupBy(records, ({ topic }) => topic)].sort(([a], [b]) => (a < b ? -1 : 1))
      for (const [topic, own] of byTopic)
        await append(
          tx,
          topic,
          own.map(({ key, value, headers }) => ({
            key: Buffer.from(key),
            value: value === null ? null : Buffer.from(value),
            headers,
          })),
        )
      await save(tx)
    }),
  close: async () => {},
})
