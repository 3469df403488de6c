/**
 * Appending for a caller who may have to ask twice: under one key the same records are appended once, and every asking answers with their
 * positions. A key is kept for a day.
 */
import { createHash } from 'node:crypto'
import type { Sql, TransactionSql } from '../platform/postgres.ts'
import type { Position } from './change.ts'
import { append, type JournalRecord } from './source/journal.ts'

const keptHours = 24

/** `writer`: whose key it is; two callers' keys never meet. `body`: what has to be the same, with everything that gives it meaning. */
export type Once = { readonly writer: string; readonly key: string; readonly body: readonly (string | Buffer)[] }

/** `other-body`: the key stands for other records. */
export type Appended =
  | { readonly kind: 'appended' | 'known'; readonly positions: readonly string[] }
  | { readonly kind: 'other-body' }

export const appendOnce = (
  sql: Sql,
  topic: string,
  records: readonly JournalRecord[],
  once: Once | undefined,
): Promise<Appended> =>
  sql.begin(async (tx): Promise<Appended> => {
    const write = async () => (await append(tx, topic, records)).map(nameOf)
    if (once === undefined) return { kind: 'appended', positions: await write() }
    const body = digest(once.body)
    // Of two at once the later waits here for the earlier one's commit, and then knows its key.
    const made = await tx`
      insert into forebay.idempotency (topic, writer, key, body, positions)
      values (${topic}, ${once.writer}, ${once.key}, ${body}, '[]') on conflict do nothing returning 1`
    if (made.length === 0) return known(tx, topic, once, body)
    const positions = await write()
    await tx`
      update forebay.idempotency set positions = ${JSON.stringify(positions)}::text::jsonb
      where topic = ${topic} and writer = ${once.writer} and key = ${once.key}`
    return { kind: 'appended', positions }
  }) as Promise<Appended>

const known = async (tx: TransactionSql, topic: string, { writer, key }: Once, body: Buffer): Promise<Appended> => {
  const [row] = await tx<{ body: Buffer; positions: string[] }[]>`
    select body, positions from forebay.idempotency where topic = ${topic} and writer = ${writer} and key = ${key}`
  if (row === undefined) throw new Error('a key was forgotten while it was asked for')
  return row.body.equals(body) ? { kind: 'known', positions: row.positions } : { kind: 'other-body' }
}

/** In small pieces, oldest first. */
export const forgetKeys = async (sql: Sql): Promise<void> => {
  await sql`
    delete from forebay.idempotency where ctid = any (array(
      select ctid from forebay.idempotency where at < now() - ${keptHours} * interval '1 hour' order by at limit 5000))`
}

const digest = (parts: readonly (string | Buffer)[]): Buffer => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part)
  return hash.digest()
}
const nameOf = ({ topic, partition, offset }: Position): string => `${topic}-${partition}-${offset}`
