/**
 * forebay.drift: keys whose rows differ from what they should be. Without `found_at` it is only seen, by somebody who could not tell
 * whether it waits for a change that is on its way; such a row goes once it is told to be equal after all.
 */
import { createHash } from 'node:crypto'
import { shardOf } from '../../model/sql/key.ts'
import { log } from '../../platform/log.ts'
import { counter } from '../../platform/metrics.ts'
import type { Sql } from '../../platform/postgres.ts'
import type { Tx } from '../apply/fence.ts'
import { currentSlot } from '../dirty-log.ts'
import { mostRepairs, type Pass } from './pass.ts'

const driftTotal = counter({
  name: 'forebay_drift_rows_total',
  help: 'Rows of views that were found to differ from their definition.',
  labels: ['view'],
})
const entityDriftTotal = counter({
  name: 'forebay_drift_entity_rows_total',
  help: 'Rows of entities that were found to differ from the source database.',
  labels: ['entity'],
})

/** `key`: as the log has it. `proof`: which of a generation's. */
export type Seen = {
  readonly key: string
  readonly kind: string
  readonly shard: number | null
  readonly proof: number
}
export type Open = {
  readonly id: string
  readonly pass: string
  readonly name: string
  readonly proof: number
  readonly generation: number | null
  readonly key: string
  readonly found: boolean
  readonly tries: number
  readonly evidence: unknown
}

export const noteSeen = async (tx: Tx, { id, name, generation }: Pass, seen: readonly Seen[]): Promise<void> => {
  if (seen.length === 0) return
  await tx`
    insert into forebay.drift (pass, name, generation, proof, key, shard, kind)
    select ${id}, ${name}, ${generation}, s.proof, s.key, s.shard, s.kind
    from json_to_recordset(${JSON.stringify(seen)}::text::json) as s(proof int, key text, shard int, kind text)`
}

/** Whether anything of a view is to be judged. */
export const anyOpen = async (sql: Sql): Promise<boolean> => {
  const [row] = await sql<{ any: boolean }[]>`
    select exists (
      select from forebay.reconciliations r join forebay.drift d on d.pass = r.id
      where r.finished_at is null and d.repaired_at is null and d.shard is not null and d.tries < ${mostRepairs}) as any`
  return row!.any
}

/** Those of passes that are not over, in views whose keys these shards have. */
export const openInShards = (
  sql: Sql,
  generations: readonly number[],
  shards: readonly number[],
  limit: number,
): Promise<readonly Open[]> =>
  sql<Open[]>`
    select d.id::text, d.pass::text, d.name, d.proof, d.generation, d.key, d.found_at is not null as found, d.tries, d.evidence
    from forebay.reconciliations r join forebay.drift d on d.pass = r.id
    where r.finished_at is null and d.repaired_at is null and d.tries < ${mostRepairs}
      and d.generation = any(${[...generations]}::int[]) and d.shard = any(${[...shards]}::int[])
    order by d.id limit ${limit}`

export const openOf = (sql: Sql, { id }: Pass, limit: number): Promise<readonly Open[]> =>
  sql<Open[]>`
    select d.id::text, d.pass::text, d.name, d.proof, d.generation, d.key, d.found_at is not null as found, d.tries, d.evidence
    from forebay.drift d where d.pass = ${id} and d.repaired_at is null and d.tries < ${mostRepairs} order by d.tries, d.id limit ${limit}`

/** What was read of a key that can't be judged yet, to be compared with what is read next. */
export const keepEvidence = async (
  tx: Tx,
  of: readonly { readonly id: string; readonly evidence: unknown }[],
): Promise<void> => {
  await tx`
    update forebay.drift d set evidence = e.evidence
    from jsonb_to_recordset(${JSON.stringify(of)}::text::jsonb) as e(id bigint, evidence jsonb) where d.id = e.id`
}

/** They are as they should be: nothing was wrong, or it is right again. */
export const settleEqual = async (tx: Tx, ids: readonly string[]): Promise<void> => {
  if (ids.length === 0) return
  await tx`update forebay.drift set repaired_at = now() where id = any(${[...ids]}::bigint[]) and found_at is not null`
  await tx`delete from forebay.drift where id = any(${[...ids]}::bigint[]) and found_at is null`
}

/** They are wrong, and about to be repaired: first found, or still. */
export const settleWrong = async (
  tx: Tx,
  wrong: readonly { readonly id: string; readonly kind: string }[],
): Promise<void> => {
  if (wrong.length === 0) return
  await tx`
    update forebay.drift d set found_at = coalesce(d.found_at, now()), kind = case when d.found_at is null then w.kind else d.kind end,
      tries = d.tries + 1
    from json_to_recordset(${JSON.stringify(wrong)}::text::json) as w(id bigint, kind text) where d.id = w.id`
}

/** A repair like any other work: the keys are marked dirty, for whoever owns them (C3). */
export const markDirty = async (
  tx: Tx,
  generation: number,
  path: number,
  keys: readonly string[],
  topics: readonly string[],
): Promise<void> => {
  // With an origin, so that what waits to be repaired leaves the view's bound what it is.
  await tx.unsafe(
    `insert into forebay.dirty (slot, generation, path, shard, keys, n, origin)
    select $1::smallint, $2::int, $3::int, shard, jsonb_agg(k), count(*),
      (select case when bool_and(frontier is not null) then min(frontier) end from forebay.positions where topic = any($5::text[]))
    from (select k, ${shardOf('k')} as shard from jsonb_array_elements($4::text::jsonb) k) s group by shard`,
    [currentSlot(), generation, path, `[${keys.join(',')}]`, topics as string[]],
    { prepare: true },
  )
}

/** After the commit. Of a key nothing is told but a hash. */
export const report = (
  kind: Pass['kind'],
  name: string,
  found: readonly { readonly k: string; readonly kind: string }[],
): void => {
  if (found.length === 0) return
  if (kind === 'VIEW') driftTotal.inc({ view: name }, found.length)
  else entityDriftTotal.inc({ entity: name }, found.length)
  for (const one of found)
    log.error('drift.found', { [kind === 'VIEW' ? 'view' : 'entity']: name, kind: one.kind, key: keyHash(one.k) })
}
export const reportUnrepaired = (name: string, key: string): void =>
  log.error('drift.unrepaired', { name, key: keyHash(key), tries: mostRepairs })

const keyHash = (key: string): string => createHash('sha256').update(key).digest('hex').slice(0, 12)
