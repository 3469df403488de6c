/** What a rollup consists of, for those who write its statements. */
import type { Column } from '../model.ts'
import type { Expiry } from './expiry.ts'
import type { ProofParts, Roots } from './proof.ts'

/**
 * A column of members or sums, and over a counted row the SQL of its value. `distinct`: sums hold how many different ones there are. `extreme`: only
 * members have it, in the order of an index.
 */
export type RollupColumn = {
  readonly name: string
  readonly sqlType: string
  readonly sql: string
  readonly distinct?: boolean
  readonly extreme?: boolean
}

export type RollupParts = {
  /** What its tables' names begin with. */
  readonly name: string
  /** The counted row's key, stored as k0, k1, … */
  readonly key: readonly Column[]
  /** What makes a group, and what follows from it. */
  readonly group: readonly RollupColumn[]
  readonly carried: readonly RollupColumn[]
  readonly values: readonly RollupColumn[]
  /** What a member has besides. */
  readonly own?: readonly RollupColumn[]
  /** The group as those who read it look for it: a JSON array over the alias `s`. */
  readonly raw: (alias: string) => string
  readonly groups: GroupsSql
  /** Matches the groups of such an array `v.value` to the alias `s`. */
  readonly onRaw: readonly string[]
  /** Selects k0, …, group, carried, own and values of counted rows: from a FROM item in which `r` is the counted entity. */
  readonly select: (source: string) => string
  /** The counted entity's table. */
  readonly table: string
  /** Readers read the members too, so each group of which a member was touched is named, not only those whose sums moved. */
  readonly read: boolean
  /** Members are looked up by group in their own table. */
  readonly indexed: boolean
  /** Of groups by steps of time. */
  readonly expiry?: Expiry
}

/** How the groups of a rollup are found. */
export type GroupsSql = {
  /** The columns of sums by which their readers find them: the first of what makes a group, or all of it. */
  readonly key: ProofParts['key']
  /** Where every group that has a member is found in the order of that key. */
  readonly roots: Roots
  /** The members of the groups of `keys k`, as `m`: by an index. There may be others among them. */
  readonly members: string
}
