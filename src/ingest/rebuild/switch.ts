/** The end of a build, and of what it replaces: the pointer moves, the old generation stands by, and once nobody needs it it goes. */
import { log } from '../../platform/log.ts'
import { codeOf, type Sql } from '../../platform/postgres.ts'
import { activate, keptGenerations, lockEverything, lockStates, moved, retire } from './states.ts'

/** A gateway that hasn't been heard of for so long serves nobody from what it knows: its own snapshot has expired long before. */
const leaseMs = 15_000
/** After retirement, until every maintainer has read the catalog and lets the tables be. */
const graceMs = 5_000

/** What was proven serves from now on. False where it isn't PROVEN any more. */
export const switchTo = (sql: Sql, generation: number): Promise<boolean> =>
  sql.begin(async (tx) => {
    await lockStates(tx)
    const [row] = await tx<{ view: string }[]>`
      select view from forebay.generations where generation = ${generation} and state = 'PROVEN' and retired_at is null`
    if (!row) return false
    await activate(tx, row.view, generation)
    await moved(tx)
    log.info('generation.switched', { view: row.view, generation })
    return true
  }) as Promise<boolean>

/**
 * Retires what stood by for the rollback window, once every gateway that lives has acknowledged a catalog later than the switch; and
 * drops the tables of what was retired a moment ago. Answers with the numbers of those retired.
 */
export const tidy = async (sql: Sql, windowMs: number): Promise<readonly number[]> => {
  const due = await dueForRetirement(sql, windowMs)
  if (due.length > 0)
    await sql.begin(async (tx) => {
      await lockEverything(tx)
      // A rollback may have come first.
      const standing = new Set(
        (await keptGenerations(tx)).filter(({ state }) => state === 'STANDBY').map(({ generation }) => generation),
      )
      await retire(
        tx,
        due.filter((one) => standing.has(one)),
      )
      await moved(tx)
    })
  for (const generation of due) log.info('generation.retired', { generation })
  await dropTables(sql)
  await sql`delete from forebay.gateways where seen_at < clock_timestamp() - interval '1 minute'`
  return due
}

const dueForRetirement = async (sql: Sql, windowMs: number): Promise<readonly number[]> => {
  const rows = await sql<{ generation: number }[]>`
    select generation from forebay.generations g
    where state = 'STANDBY' and retired_at is null
      and switched_at <= clock_timestamp() - ${windowMs}::float8 * interval '1 millisecond'
      and not exists (
        select from forebay.gateways w where w.catalog < coalesce(g.switched_catalog, 0)
          and w.seen_at > clock_timestamp() - ${leaseMs}::float8 * interval '1 millisecond')`
  return rows.map(({ generation }) => generation)
}

/** With what maintainers that didn't know yet have logged of them since. One whose table is in use is left for the next time. */
const dropTables = async (sql: Sql): Promise<void> => {
  const rows = await sql<{ generation: number; tables: readonly string[] | null }[]>`
    select generation, array(select jsonb_array_elements_text(definition->'tables')) as tables from forebay.generations
    where retired_at <= clock_timestamp() - ${graceMs}::float8 * interval '1 millisecond' and dropped_at is null`
  for (const { generation, tables } of rows) {
    try {
      await sql.begin(async (tx) => {
        await tx`set local lock_timeout = '1s'`
        // Its definition may have come back meanwhile: then the tables are another generation's.
        const [row] =
          await tx`select from forebay.generations where generation = ${generation} and dropped_at is null for update`
        if (!row) return
        for (const table of tables ?? []) await tx.unsafe(`drop table if exists ${table}`)
        await tx`delete from forebay.view_floors where "table" = any(${[...(tables ?? [])]}::text[])`
        await tx`delete from forebay.dirty where generation = ${generation}`
        await tx`delete from forebay.fills where generation = ${generation}`
        await tx`update forebay.generations set dropped_at = now(), definition = null where generation = ${generation}`
      })
    } catch (error) {
      if (codeOf(error) !== '55P03') throw error
    }
  }
}
