/** A fresh database on the run's Postgres, for every test that asks. */
import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { connect, type Sql } from '../../src/platform/postgres.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The superuser's connection string of the Postgres that global-setup.ts started. */
    postgresUrl: string
  }
}

export type Database = { readonly url: string; readonly sql: Sql; drop(): Promise<void> }

/** `sql` has up to `max` connections (10). `drop` closes it and throws the database away, whoever else is connected. */
export const freshDatabase = async (max = 10): Promise<Database> => {
  const server = inject('postgresUrl')
  const name = `test_${randomBytes(6).toString('hex')}`
  const url = new URL(server)
  url.pathname = `/${name}`
  await administer(server, `create database ${name} template template0 encoding 'UTF8' locale 'C'`)
  const sql = connect(url.href, { max, name: 'test' })
  const drop = async (): Promise<void> => {
    await sql.end({ timeout: 1 })
    await administer(server, `drop database if exists ${name} with (force)`)
  }
  return { url: url.href, sql, drop }
}

const administer = async (server: string, statement: string): Promise<void> => {
  const sql = connect(server, { max: 1, name: 'test administration' })
  try {
    await sql.unsafe(statement)
  } finally {
    await sql.end()
  }
}
