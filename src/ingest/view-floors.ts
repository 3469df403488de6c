/**
 * Rows of views that are kept for a time, and are past it (@retention on a view, see src/model/sql/view-floor.ts): their generation's floor moves
 * up, some rows at a time, and every owner of a shard is told of it in the same transaction. They go by the round that takes the entry,
 * as rows that no longer are what the view is of. Every generation that is kept up has its own, what stands by too.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { columnName, ident } from '../model/names.ts'
import { SHARDS } from '../model/sql/key.ts'
import { log } from '../platform/log.ts'
import { counter } from '../platform/metrics.ts'
import type { Sql } from '../platform/postgres.ts'
import { holdCatalog } from './apply/fence.ts'
import { currentSlot } from './dirty-log.ts'
import type { Catalog, Generation } from './generations.ts'
import { locks } from './locks.ts'

/** Rows that go at a time, but for those of one moment, which go together. As many as a live round works: the next ones wait for these. */
const most = 1_000
/** It goes that far without any row to take along, so that what comes late for the first time is not there for a moment. */
const idle = '1 minute'
const pollMs = 500
/** While there are more. */
const nextMs = 20

const sweptTotal = counter({
  name: 'forebay_view_rows_swept_total',
  help: 'Rows of views that were kept long enough.',
  labels: ['view'],
})

export type ViewFloors = {
  /** Moves the floors of all views once, and tells how many rows are past them now. For tests and for draining. */
  move(): Promise<number>
  stop(): Promise<void>
}

/** `moved`: there is something in the log. `auto` off: it works only when asked to. */
export const startViewFloors = (options: {
  readonly sql: Sql
  readonly catalog: Catalog
  readonly moved?: () => void
  readonly auto?: boolean
}): ViewFloors => {
  const { sql, catalog, moved = () => {} } = options
  let stopped = false
  /** Generations that have more to go. */
  let behind: ReadonlySet<number> = new Set()
  const move = async (): Promise<number> => {
    let total = 0
    const left = new Set<number>()
    for (const generation of catalog.generations) {
      if (stopped) break
      const { rows, waits } = await moveFloor(sql, catalog, generation)
      if (rows >= most || (waits && behind.has(generation.generation))) left.add(generation.generation)
      if (rows === 0) continue
      moved()
      sweptTotal.inc({ view: generation.table.view }, rows)
      total += rows
    }
    behind = left
    return total
  }
  const loop = async (): Promise<void> => {
    while (!stopped) {
      await move().catch((error: unknown) => {
        log.error('view-floors.failed', { error })
        behind = new Set()
      })
      await sleep(behind.size > 0 ? nextMs : pollMs)
    }
  }
  const running = options.auto === false ? Promise.resolve() : loop()
  return {
    move,
    async stop() {
      stopped = true
      await running
    },
  }
}

/** `rows`: past it by this. `waits`: the last ones are still to go. */
type Moved = { readonly rows: number; readonly waits: boolean }
const still: Moved = { rows: 0, waits: false }

const moveFloor = async (sql: Sql, catalog: Catalog, generation: Generation): Promise<Moved> => {
  const { view, table, paths } = generation
  const { retention } = view
  if (!retention) return still
  const path = paths.findIndex(({ own }) => own)
  const on = ident(columnName(retention.on))
  const above = `from ${table.table} where ${on} >= (select floor from floors)`
  return sql.begin(async (tx): Promise<Moved> => {
    // A generation that isn't kept up any more loses its table.
    const version = await holdCatalog(tx)
    if (version !== catalog.version) {
      void catalog.reload?.().catch(() => false)
      return still
    }
    const [row] = await tx<{ mine: boolean }[]>`
      select pg_try_advisory_xact_lock(${locks.sweep}, hashtext(${table.table})) as mine`
    if (!row!.mine) return still
    const [found] = await tx.unsafe<Moved[]>(
      // An instant is a whole number of microseconds: the floor is the next one after the last row's, so that this one is past it.
      `with floors as materialized (
        select floor, now() - interval '${retention.ttlMs} milliseconds' as wanted from forebay.view_floors where "table" = $1 and not exists (
          select from forebay.dirty where generation = $2::int and path in ($3::int, -$3::int - 1))),
      past as materialized (select ${on} as at ${above} and ${on} < (select wanted from floors) order by ${on} limit ${most}),
      next as materialized (
        select case when p.n < ${most} then f.wanted else p.last + interval '1 microsecond' end as floor
        from floors f, (select count(*) as n, max(at)::timestamptz as last from past) p
        where p.n > 0 or f.floor < f.wanted - interval '${idle}'),
      moved as (update forebay.view_floors f set floor = n.floor from next n where f."table" = $1 returning f.floor),
      logged as (
        insert into forebay.dirty (slot, generation, path, shard, keys, n, origin, offsets)
        select $4::smallint, $2::int, $3::int, shard, '[[]]', 1, now(), '{}' from moved, generate_series(0, ${SHARDS - 1}) shard)
      select (select count(*) ${above} and ${on} < (select floor from moved))::int as rows, not exists (select from floors) as waits`,
      [table.table, generation.generation, path, currentSlot()],
      { prepare: true },
    )
    return found!
  }) as Promise<Moved>
}
