/**
 * Parity (C8): a generation is switched to only once it was seen equal to its definition.
 *
 * In any snapshot in which the log holds no entry of it, a generation's table is what its definition gives: every change that the snapshot
 * sees was worked by a round that the snapshot sees too, in a snapshot of its own that included the change.
 */
import type { Sql, TransactionSql } from '../../platform/postgres.ts'
import type { Generation } from '../generations.ts'

/**
 * `keys`: so many were compared. `differing`: so many of them aren't what the definition gives, though nothing is pending for them. `why`:
 * what was done about it, after "so many are not what the definition gives".
 */
export type Proof = { readonly keys: number; readonly differing: number; readonly why?: string }
export type ProveOptions = {
  /** Ends it; it throws then. */
  readonly signal: AbortSignal
  /** What it waits for, each time that changes. */
  readonly say: (waiting: string | null) => void
  readonly sleep: (ms: number) => Promise<void>
}
/** `sql`: one connection, which no transaction is open on. Throws what Postgres throws, and where it can't be judged. */
export type Prove = (sql: Sql, generation: Generation, options: ProveOptions) => Promise<Proof>

const tries = 200
const pauseMs = 100

/** The whole view at once. Where it differs while entries are pending that proves nothing, and it is looked at again. */
export const proveWhole: Prove = async (sql, generation, { signal, say, sleep }) => {
  for (let left = tries; left > 0; left--) {
    signal.throwIfAborted()
    const { pending, ...proof } = await compare(sql, generation)
    if (proof.differing === 0 || !pending) return proof
    say('changes that are being worked: the view is compared at a moment without any')
    await sleep(pauseMs)
  }
  throw new Error('no moment was found at which nothing is pending for the view')
}

const compare = (sql: Sql, generation: Generation): Promise<Proof & { readonly pending: boolean }> =>
  sql.begin('isolation level repeatable read read only', async (tx) => {
    const { table, definition } = generation
    const [row] = await tx<{ pending: boolean }[]>`
      select exists (select from forebay.dirty where generation = ${generation.generation} and shard >= 0) as pending`
    const columns = await columnsOf(tx, definition)
    const key = table.grouped ? ['_group'] : table.rootKey.map(({ column }) => column)
    const rows = (from: string) =>
      `select jsonb_build_array(${key.map(quoted).join(', ')}) as key, to_jsonb(r) as row from (select ${columns.map(quoted).join(', ')} from ${from}) r`
    const [found] = await tx.unsafe<{ keys: number; differing: number }[]>(
      `with stored as materialized (${rows(table.table)}), defined as materialized (${rows(`(${definition}) d`)})
      select (select count(*) from defined)::int as keys, (select count(*) from (
        select key from (select key, row from stored except all select key, row from defined) a
        union select key from (select key, row from defined except all select key, row from stored) b) d)::int as differing`,
    )
    return { ...found!, pending: row!.pending }
  }) as Promise<Proof & { readonly pending: boolean }>

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** The table has more columns: what is generated, and its rows' versions. */
const columnsOf = async (tx: TransactionSql, definition: string): Promise<readonly string[]> => {
  const { columns } = await tx.unsafe(`select * from (${definition}) d limit 0`)
  return columns.map(({ name }) => name)
}
