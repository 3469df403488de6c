/**
 * What a round does for one generation: node by node, those first that others read. What a node changed is followed at once if no
 * shard is anybody else's: then whoever reads it is worked by this connection, now or later. Else it goes back into the log raw, and
 * is resolved once this has committed: a row that joins a group meanwhile would be missed by one that doesn't see it yet (C1).
 */

import { SHARDS } from '../../model/sql/key.ts'
import type { RollupSql } from '../../model/sql/rollup.ts'
import type { Tx } from '../apply/fence.ts'
import type { Generation } from '../generations.ts'
import type { Attempt, Place } from './attempt.ts'
import { beginFanout } from './fanout-entry.ts'
import { jsonArray, keysBy, logKeys, pathOf } from './log-keys.ts'
import { earliest, type Origin } from './origin.ts'
import { touchParked } from './park-keys.ts'

export type ChangedRow = {
  readonly generation: Generation
  /** The values of its view's `table.key`, as callers write them. */
  readonly key: readonly (string | null)[]
  readonly tenant: string | null
  readonly version: string
  readonly gone: boolean
}
/** `path`: the log's number. */
export type Entry = Origin & { readonly generation: number; readonly path: number; readonly keys: readonly string[] }

/** `budget`: about how many keys to work. `wide`: a raw value that leads to more is followed by and by. */
export type Limits = { readonly budget: number; readonly wide: number }
export type Means = {
  readonly attempt: Attempt
  /** Shards of this connection. */
  readonly owned: ReadonlySet<number>
  readonly limits: Limits
  /** Keys of the generation are parked: they are left out where they are met. */
  readonly parked: boolean
  /** Nodes that nothing is followed into: see not-begun.ts. */
  readonly notBegun: ReadonlySet<number>
  /** Several statements may be under way at once, which savepoints forbid. */
  readonly pipelined: boolean
}
/** `keys`: how many were worked. `origins`: by path, of what was worked. */
export type Work = {
  readonly keys: number
  readonly changed: readonly ChangedRow[]
  readonly origins: ReadonlyMap<number, Origin>
}
/** A key that a statement yields, and whose it is. */
type Found = { readonly k: string; readonly shard: number }

/** A value that leads to the same few keys this often, over many rows, is followed with each row on the way taken once: it is no fan-out. */
const mostRepeats = 4
/** Raw values that are followed by the first statement for a path; it tells how many the next may take. */
const fewValues = 32

export const workGeneration = async (
  tx: Tx,
  generation: Generation,
  entries: readonly Entry[],
  { attempt, owned, limits: { budget, wide }, parked, notBegun, pipelined }: Means,
): Promise<Work> => {
  const { paths, nodes, fanouts } = generation
  // Written at the end: a savepoint that is rolled back must not take them along.
  const forwards: (() => Promise<unknown>)[] = []
  const forward = (number: number, keys: readonly string[], origin: Origin): void => {
    if (keys.length) forwards.push(() => logKeys(tx, generation.generation, number, keys, origin))
  }
  /** By path: raw values to be followed, and where they come from. */
  const raw = new Map<number, Set<string>>()
  const origins = new Map<number, Origin>()
  /** By node: its keys, with the paths that led to each. */
  const reached = nodes.map(() => new Map<string, Set<number>>())
  const reach = (path: number, keys: readonly string[]): void => {
    const known = reached[paths[path]!.node]!
    for (const key of keys) known.set(key, (known.get(key) ?? new Set()).add(path))
  }
  const originate = (path: number, from: readonly Origin[]): Origin => {
    const origin = earliest([...from, ...(origins.has(path) ? [origins.get(path)!] : [])])
    origins.set(path, origin)
    return origin
  }
  const give = (path: number, values: readonly string[], from: readonly Origin[]): void => {
    originate(path, from)
    const known = raw.get(path) ?? new Set()
    for (const value of values) known.add(value)
    raw.set(path, known)
  }
  for (const [number, group] of Map.groupBy(entries, (entry) => entry.path)) {
    if (notBegun.has(paths[pathOf(number)]!.node)) continue
    const keys = group.flatMap((entry) => entry.keys)
    if (number >= 0) give(number, keys, group)
    else {
      originate(pathOf(number), group)
      reach(pathOf(number), keys)
    }
  }
  const unparked = async (number: number, keys: readonly string[]): Promise<readonly string[]> => {
    if (!parked || keys.length === 0) return keys
    const known = await touchParked(tx, generation.generation, number, keys)
    return known.size ? keys.filter((key) => !known.has(key)) : keys
  }

  /** Where values lead, but for those that lead to very many keys: these become entries of their own. */
  const lead = async (path: number, expand: string, values: readonly string[], origin: Origin) => {
    const place = { node: paths[path]!.node, number: path }
    const whole = (some: readonly string[]) => attempt(place, some, (inner, part) => follow(inner, expand, part))
    const fanout = fanouts[path] ?? null
    if (fanout === null) return whole(values)
    const probed = await attempt(place, values, async (inner, part) =>
      (await probe(inner, fanout.probe, part, wide + 1)).map(({ n, ...key }) => ({ ...key, value: part[n]! })),
    )
    const led: Found[] = []
    const repeated: string[] = []
    for (const [value, keys] of Map.groupBy(probed, (one) => one.value))
      if (keys.length <= wide) led.push(...keys)
      else if (new Set(keys.map(({ k }) => k)).size <= wide / mostRepeats) repeated.push(value)
      else forwards.push(() => beginFanout(tx, generation.generation, path, value, origin))
    return repeated.length ? [...led, ...(await whole(repeated))] : led
  }

  const followRaw = async (path: number): Promise<void> => {
    const origin = origins.get(path)!
    const { expand } = paths[path]!
    const given = [...raw.get(path)!]
    const values = expand === undefined ? given : await unparked(path, given)
    /** Keys that this path has led to: many values may lead to the same one. `rows`: how often they came. */
    const found = new Set<string>()
    let [at, many, rows] = [0, expand === undefined ? budget : fewValues, 0]
    while (at < values.length && found.size < budget) {
      const some = values.slice(at, at + many)
      at += some.length
      if (expand === undefined) {
        reach(path, some)
        for (const key of some) found.add(key)
        continue
      }
      const led = await lead(path, expand, some, origin)
      const { own, foreign } = byOwner(led, owned)
      reach(path, own)
      // What every owner is told of, each finds among its own.
      if (!paths[path]!.own) forward(keysBy(path), [...new Set(foreign)], origin)
      for (const { k } of led) found.add(k)
      rows += led.length
      many = Math.max(fewValues, Math.ceil(((budget - found.size) * at) / Math.max(rows, at)))
    }
    forward(path, values.slice(at), origin)
  }
  /** As many keys as a round may take; the rest waits in the log. */
  const take = (node: number): readonly string[] => {
    const keys = reached[node]!
    const all = [...keys.keys()]
    if (all.length <= budget) return all
    // Rows that changed themselves come before what others lead to. A key that was reached in two ways waits for each.
    const first = new Map(all.map((key) => [key, Math.min(...keys.get(key)!)]))
    all.sort((a, b) => first.get(a)! - first.get(b)!)
    const rest = all.slice(budget)
    for (const [path, origin] of [...origins].sort(([a], [b]) => a - b))
      forward(
        keysBy(path),
        rest.filter((key) => keys.get(key)!.has(path)),
        origin,
      )
    return all.slice(0, budget)
  }
  /** What a node changed is followed to whoever reads it. */
  const feed = (node: number, changed: readonly Found[]): void => {
    const from = [...origins].filter(([path]) => paths[path]!.node === node).map(([, origin]) => origin)
    const { own, foreign } = byOwner(changed, owned)
    for (const path of nodes[node]!.feeds) {
      if (notBegun.has(paths[path]!.node)) continue
      if (owned.size === SHARDS) give(path, own, from)
      else forward(path, [...new Set([...own, ...foreign])], earliest(from))
    }
  }

  /** Each key by the statement of the fields that what led to it can alter (C11). */
  const rewrite = async (place: Place, keys: readonly string[]): Promise<readonly ChangedRow[]> => {
    const changed: ChangedRow[] = []
    const known = new Map<string, string>()
    const statementOf = (key: string): string => {
      const paths = [...reached[place.node]!.get(key)!]
      const name = paths.join()
      const statement = known.get(name) ?? statementFor(generation, paths)
      known.set(name, statement)
      return statement
    }
    for (const [statement, some] of Map.groupBy(keys, statementOf))
      changed.push(...(await attempt(place, some, (inner, part) => recompute(inner, generation, statement, part))))
    return changed
  }

  let worked = 0
  let changed: readonly ChangedRow[] = []
  for (let node = nodes.length - 1; node >= 0; node--) {
    const given = [...raw.keys()].filter((path) => paths[path]!.node === node)
    if (pipelined) await Promise.all(given.map(followRaw))
    else for (const path of given) await followRaw(path)
    const { rollup, part, own } = nodes[node]!
    const place = { node, number: keysBy(own) }
    const keys = await unparked(place.number, take(node))
    if (keys.length === 0) continue
    worked += keys.length
    if (rollup) feed(node, await attempt(place, keys, (inner, some) => contribute(inner, rollup, some)))
    else if (part) feed(node, await attempt(place, keys, (inner, some) => follow(inner, part.recompute, some)))
    else changed = await rewrite(place, keys)
  }
  await Promise.all(forwards.map((write) => write()))
  return { keys: worked, changed, origins }
}

const probe = (tx: Tx, statement: string, values: readonly string[], limit: number) =>
  tx.unsafe<(Found & { readonly n: number })[]>(statement, [jsonArray(values), limit], { prepare: true })

/** What a statement over keys or raw values yields. */
const follow = (tx: Tx, statement: string, values: readonly string[]): Promise<readonly Found[]> =>
  tx.unsafe<Found[]>(statement, [jsonArray(values)], { prepare: true })

/** Adds to the sums what counted rows' contributions differ by; the groups that moved. */
const contribute = async (tx: Tx, rollup: RollupSql, keys: readonly string[]): Promise<readonly Found[]> => {
  const rows = await tx.unsafe<(Found & { readonly empty: boolean | null })[]>(rollup.contribute, [jsonArray(keys)], {
    prepare: true,
  })
  const empty = rows.filter(({ empty }) => empty).map(({ k }) => k)
  if (empty.length) await tx.unsafe(rollup.purge, [jsonArray(empty)], { prepare: true })
  return rows
}

/** Keys by whether their shard is this connection's. */
export const byOwner = (rows: readonly Found[], shards: ReadonlySet<number>) => {
  const { own = [], foreign = [] } = Object.groupBy(rows, ({ shard }) => (shards.has(shard) ? 'own' : 'foreign'))
  return { own: own.map(({ k }) => k), foreign: foreign.map(({ k }) => k) }
}

/** The narrowest statement that brings up to date all that these paths touch. */
const statementFor = ({ touched, narrow, recompute }: Generation, paths: readonly number[]): string => {
  const fields = new Set<string>()
  for (const path of paths) {
    const some = touched[path]!
    if (some === 'ROW') return recompute
    for (const field of some) fields.add(field)
  }
  return narrow.find((one) => [...fields].every((field) => one.fields.includes(field)))?.statement ?? recompute
}

const recompute = async (
  tx: Tx,
  generation: Generation,
  statement: string,
  keys: readonly string[],
): Promise<readonly ChangedRow[]> => {
  const rows = await tx.unsafe<Omit<ChangedRow, 'generation'>[]>(statement, [jsonArray(keys)], {
    prepare: true,
  })
  return rows.map((row) => ({ generation, ...row }))
}
