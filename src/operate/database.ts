/** The database that a short verb works on: DATABASE_URL, else the embedded one, which may be running already or is run meanwhile. */
import type { Config } from '../platform/config.ts'
import { runningPostgres, startPostgres } from '../platform/embedded-postgres.ts'
import { connect, type Sql, untilReachable } from '../platform/postgres.ts'

/** Hands `use` the connection string. Throws what it throws, and when the embedded Postgres can't start. */
export const withDatabaseUrl = async <T>(config: Config, use: (url: string) => Promise<T>): Promise<T> => {
  const url = config.databaseUrl ?? (await runningPostgres(config.dataDir))
  if (url !== undefined) return use(url)
  const server = await startPostgres({ dataDir: config.dataDir })
  try {
    return await use(server.url)
  } finally {
    await server.stop()
  }
}

/** Hands `use` one connection, which is closed afterwards. `name` is shown in pg_stat_activity. */
export const withDatabase = <T>(config: Config, name: string, use: (sql: Sql) => Promise<T>): Promise<T> =>
  withDatabaseUrl(config, async (url) => {
    const sql = connect(url, { max: 1, name })
    try {
      await untilReachable(sql, url, 2_000)
      return await use(sql)
    } finally {
      await sql.end({ timeout: 1 })
    }
  })
