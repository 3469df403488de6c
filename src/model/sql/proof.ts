/**
 * How a kept table is compared with what defines it: by keys, a page of them in the order of the key's index at a time, and each row by a
 * checksum that is keyed anew for every comparison, so that two rows that happen to have one checksum are told apart the next time.
 *
 * Everything is looked up by key, never joined: the cost is that of computing these rows, and nothing is written.
 */
import { collation, ident, quote } from '../names.ts'
import { type KeyColumn, keyArray, keyValue, lookup, shardOf } from './key.ts'
import type { TableColumn } from './view-table.ts'

/** Statements. */
export type ProofSql = {
  /** The first `$1` keys that the table has or should have, in order: rows of `k`, a JSON array. */
  readonly first: string
  /** The next `$1` behind the key `$2`. */
  readonly next: string
  /** Of the keys `$1` (JSON text of an array), those whose rows differ, checksums keyed by `$2`: rows of `k`, `shard` and `kind` (`Difference`). */
  readonly differences: string
  /** The same by totals that are kept, whatever those are: for rows that are too much to be computed from all that they count. */
  readonly near?: string
  /** Puts the rows of the keys `$1` right, by adding what is missing; absent: marking the key does. Yields `k`, as the paths that it marks have it. */
  readonly repair?: string
}
/**
 * `node`: whose table it is. `marks`: the log's numbers under which a key that is wrong is marked dirty. `grouped`: its rows belong to no
 * owner, but are added to by all of them.
 */
export type Proof = ProofSql & {
  readonly node: number
  readonly marks: readonly number[]
  readonly grouped: boolean
}
/** MISSING: there should be a row. EXTRA: there should be none. */
export type Difference = 'CHANGED' | 'MISSING' | 'EXTRA'

export type ProofParts = {
  /** Quoted. `key`: its key's columns, unquoted, with what they are typed as. */
  readonly table: string
  readonly key: readonly { readonly column: string; readonly as: KeyColumn }[]
  /** What is compared. */
  readonly columns: readonly TableColumn[]
  readonly roots: Roots
  /** Rows as they should be, over `keys` (k0, k1, …), in the table's columns. */
  readonly fresh: string
  readonly near?: string
  /** Conditions of stored rows `t` that count. */
  readonly stored?: readonly string[]
  /** Keys are part of what tells rows apart: those of one are compared together. */
  readonly several?: boolean
}
/** The table that has every key that there should be, quoted, and the columns of that key, unquoted. `where`: which of its rows. */
export type Roots = { readonly table: string; readonly key: readonly string[]; readonly where?: string }

export const proofSql = (parts: ProofParts): ProofSql => {
  const { fresh, near } = parts
  return {
    first: pageSql(parts, false),
    next: pageSql(parts, true),
    differences: differencesSql(parts, fresh),
    ...(near === undefined ? {} : { near: differencesSql(parts, near) }),
  }
}

/** With every text written anew. */
export const mapProof = <P extends ProofSql>(proof: P, write: (text: string) => string): P => ({
  ...proof,
  first: write(proof.first),
  next: write(proof.next),
  differences: write(proof.differences),
  ...(proof.near === undefined ? {} : { near: write(proof.near) }),
  ...(proof.repair === undefined ? {} : { repair: write(proof.repair) }),
})

/** `keys`: k0, k1, … of the JSON arrays `$1`. */
export const keysSql = (key: ProofParts['key']): string =>
  `select ${key.map(({ as }, i) => `${keyValue('v.value', i, as)} as k${i}`).join(', ')} from jsonb_array_elements($1::text::jsonb) v`

const keyJson = (key: ProofParts['key']): string => keyArray(key.map(({ as }, i) => ({ sql: `k${i}`, type: as.type })))

const pageSql = ({ table, key, roots, several = false }: ProofParts, after: boolean): string => {
  const list = key.map((_, i) => `k${i}`).join(', ')
  const behind = key.map(({ as }, i) => keyValue('$2::text::jsonb', i, as)).join(', ')
  const side = ({ table, key, where = 'true' }: Roots): string => {
    const own = key.map(ident).join(', ')
    const read = (from: string | undefined, limit: string): string =>
      `select ${key.map((column, i) => `${ident(column)} as k${i}`).join(', ')} from ${table} where ${where}${from === undefined ? '' : ` and (${own}) > (${from})`} order by ${own} limit ${limit}`
    const first = after ? behind : undefined
    if (!several) return `(${read(first, '$1::int')})`
    // From each key to the next one by the index, however many rows it has.
    const last = key.map((_, i) => `d.k${i}`).join(', ')
    return `(with recursive d as ((${read(first, '1')}) union all (select n.* from d cross join lateral (${read(last, '1')}) n)) select ${list} from d limit $1::int)`
  }
  const stored = { table, key: key.map(({ column }) => column) }
  return `select ${keyJson(key)}::text as k from (${side(roots)} union ${side(stored)}) u order by ${list} limit $1::int`
}

const differencesSql = ({ table, key, columns, stored = [], several = false }: ProofParts, fresh: string): string => {
  const list = key.map((_, i) => `k${i}`).join(', ')
  /** Typed as the table has it, which is what a row becomes when it is written. */
  const rowSum = (alias: string): string =>
    `hash_record_extended(row(${columns.map(({ name, sqlType }) => `${alias}.${ident(name)}::${sqlType}${collation(sqlType)}`).join(', ')}), $2::bigint)`
  const checksum = (alias: string): string => (several ? `bit_xor(${rowSum(alias)})` : rowSum(alias))
  const each = several ? ` group by ${key.map((_, i) => i + 1).join(', ')}` : ''
  const keyOf = (alias: string): string => key.map(({ column }, i) => `${alias}.${ident(column)} as k${i}`).join(', ')
  const match = [...key.map(({ column }, i) => `t.${ident(column)} = k.k${i}`), ...stored]
  const kind = (name: Difference): string => quote(name)
  return `with keys as materialized (${keysSql(key)}),
fresh as materialized (${fresh}),
found as materialized (select ${keyOf('t')}, ${checksum('t')} as sum from keys k ${lookup(table, 't', match)}${each}),
wanted as materialized (select ${keyOf('f')}, ${checksum('f')} as sum from fresh f${each})
select k::text as k, ${shardOf('k')} as shard, kind from (
  select ${keyJson(key)} as k, case when bool_and(stored) then ${kind('EXTRA')} when bool_or(stored) then ${kind('CHANGED')} else ${kind('MISSING')} end as kind
  from (select ${list}, sum, true as stored from found union all select ${list}, sum, false from wanted) b
  group by ${list} having count(*) <> 2 or min(sum) <> max(sum)) d`
}
