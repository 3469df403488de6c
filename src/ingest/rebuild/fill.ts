/**
 * Filling: every key of a generation's nodes into the dirty log, the deepest node first, in chunks by key. What it costs is the
 * maintainers' to pay, so a chunk follows only when most of the last one is worked (src/ingest/rebuild/worker.ts). The cursor moves in
 * the transaction that logs its chunk: whoever takes over after a crash goes on there.
 *
 * Why nothing is missed: registering the generation excluded every applier, so what was committed before is seen here, and what came
 * since is in the log. Why a key logged twice does no harm: an entry says "recompute this key", not what to add.
 */
import type { Sql } from '../../platform/postgres.ts'
import type { Tx } from '../apply/fence.ts'
import { currentSlot } from '../dirty-log.ts'
import type { Generation } from '../generations.ts'
import { locks } from '../locks.ts'

/** `logged`: keys. `filled`: all is logged and worked. `gone`: it isn't to be filled any more. `waits`: for a deeper node's keys to be worked. */
export type Step = { readonly kind: 'logged'; readonly keys: number } | { readonly kind: 'filled' | 'gone' | 'waits' }

/** The next chunk, of at most so many keys. Only one process may be at it: see `locks.rebuild`. */
export const fillStep = (sql: Sql, generation: Generation, keys: number): Promise<Step> =>
  sql.begin(async (tx): Promise<Step> => {
    const [row] = await tx<{ filled: boolean; pending: boolean }[]>`
      select filled_at is not null as filled,
        exists (select from forebay.dirty d where d.generation = g.generation and d.origin is null) as pending
      from forebay.generations g where generation = ${generation.generation} and retired_at is null for share`
    if (!row) return { kind: 'gone' }
    if (row.filled) return { kind: 'filled' }
    const fills = await tx<{ node: number; cursor: string | null; finished: boolean }[]>`
      select node, cursor::text as cursor, finished_at is not null as finished
      from forebay.fills where generation = ${generation.generation} for update`
    const node = generation.fill.find((one) => !fills.some((fill) => fill.node === one.node && fill.finished))
    if (!node) {
      if (row.pending) return { kind: 'waits' }
      await tx`
        update forebay.generations set filled_at = now() where generation = ${generation.generation}`
      await tx`update forebay.catalog set version = version + 1`
      return { kind: 'filled' }
    }
    const begun = fills.find((fill) => fill.node === node.node)
    if (!begun) {
      // A shallower node reads what the deeper ones hold: before they hold it, its keys would be worked for nothing.
      if (row.pending) return { kind: 'waits' }
      await beginNode(tx, generation, node.node, node.count)
    }
    const cursor = begun?.cursor ?? null
    const given = [currentSlot(), generation.generation, keys]
    const [chunk] = (await (cursor === null
      ? tx.unsafe(node.first, given, { prepare: true })
      : tx.unsafe(node.next, [...given, cursor], { prepare: true }))) as unknown as [{ n: number; last: string | null }]
    await tx`
      update forebay.fills set done = done + ${chunk.n}, cursor = coalesce(${chunk.last}::text::jsonb, cursor),
        rate = case when rate is null then ${chunk.n} / greatest(extract(epoch from clock_timestamp() - moved_at), 0.001)
          else rate * 0.9 + 0.1 * ${chunk.n} / greatest(extract(epoch from clock_timestamp() - moved_at), 0.001) end,
        total = greatest(total, done + ${chunk.n}), moved_at = clock_timestamp(), waiting = null,
        finished_at = case when ${chunk.n < keys} then clock_timestamp() end
      where generation = ${generation.generation} and node = ${node.node}`
    return { kind: 'logged', keys: chunk.n }
  }) as Promise<Step>

/** From here to the commit no round leaves out what leads to the node, and those that have done so are over: see not-begun.ts. */
const beginNode = async (tx: Tx, { generation }: Generation, node: number, count: string): Promise<void> => {
  const [counted] = await tx.unsafe<{ n: number }[]>(count)
  await tx`select pg_advisory_xact_lock(${locks.fill}, ${generation})`
  await tx`update forebay.generations set begun = begun + 1 where generation = ${generation}`
  await tx`insert into forebay.fills (generation, node, total) values (${generation}, ${node}, ${counted!.n})`
}

/** Keys of its filling that wait in the log, counted as far as that matters. */
export const pendingFill = async (sql: Sql, generation: number): Promise<number> => {
  const [row] = await sql<{ n: number }[]>`
    select coalesce(sum(n), 0)::int as n from (
      select n from forebay.dirty where generation = ${generation} and origin is null limit 1000) d`
  return row!.n
}

export const sayWaiting = (sql: Sql, generation: number, waiting: string | null): Promise<unknown> => sql`
  update forebay.fills set waiting = ${waiting}
  where generation = ${generation} and finished_at is null and waiting is distinct from ${waiting}`
