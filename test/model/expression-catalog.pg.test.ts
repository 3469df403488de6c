import { expect, test } from 'vitest'
import { functions } from '../../src/model/read/expression-catalog.ts'
import { freshDatabase } from '../support/postgres.ts'

const named = (...kinds: readonly string[]): string[] =>
  [...functions].filter(([, kind]) => kinds.includes(kind)).map(([name]) => name)

test('every function that an expression may call exists in Postgres and gives the same for the same arguments', async () => {
  const { sql, drop } = await freshDatabase()
  try {
    const rows = await sql<{ name: string; volatile: boolean | null }[]>`
      select name, bool_or(p.provolatile = 'v') as volatile
      from unnest(${named('strict', 'first-strict', 'null-skipping', 'may-be-null')}::text[]) name
      left join pg_proc p on p.proname = name and p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f'
      group by name having bool_or(p.provolatile = 'v') is not false order by name`
    expect(rows.map(({ name }) => name)).toEqual([])
  } finally {
    await drop()
  }
})

test('a strict function gives null only for a null argument', async () => {
  const { sql, drop } = await freshDatabase()
  try {
    // Those of arrays take a null element, so Postgres does not mark them; without nulls they give none.
    const rows = await sql<{ name: string }[]>`
      select distinct p.proname as name from pg_proc p
      where p.proname = any(${named('strict')}::text[]) and p.pronamespace = 'pg_catalog'::regnamespace
        and p.prokind = 'f' and not p.proisstrict and p.proname not like 'array_%' order by 1`
    expect(rows.map(({ name }) => name)).toEqual([])
  } finally {
    await drop()
  }
})
