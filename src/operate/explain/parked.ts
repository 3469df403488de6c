/** `forebay explain parked`: which keys of which views could not be recomputed, why, and what to do about it. Reads only. */
import { pathOf } from '../../ingest/maintain/log-keys.ts'
import { decodeView, type StoredView } from '../../model/stored-view.ts'
import type { Sql } from '../../platform/postgres.ts'

/** Times are ISO. */
export type ParkedKey = {
  readonly view: string
  /** The values of the key, as JSON. */
  readonly key: string
  /** What the key is of. */
  readonly of: string
  readonly sqlstate: string
  readonly reason: string
  readonly advice: string
  readonly since: string
  readonly attempts: number
  readonly nextAttemptAt: string
}

/** The oldest first. `view`: only of this one. */
export const parkedKeys = async (sql: Sql, view: string | undefined, limit: number): Promise<readonly ParkedKey[]> => {
  type Row = Omit<ParkedKey, 'of' | 'advice'> & { readonly generation: number; readonly path: number }
  const rows = await sql<Row[]>`
    select g.view, p.generation, p.path, p.key, p.sqlstate, p.reason, forebay.iso(p.since) as since, p.attempts,
      forebay.iso(p.next_attempt_at) as "nextAttemptAt"
    from forebay.parked_keys p join forebay.generations g using (generation)
    where ${view ?? null}::text is null or g.view = ${view ?? null}
    order by p.since, p.id limit ${limit}`
  const definitions = await sql<{ generation: number; definition: string }[]>`
    select generation, definition::text as definition from forebay.generations
    where generation = any(${rows.map(({ generation }) => generation)}::int[]) and definition is not null`
  const known = new Map(definitions.map(({ generation, definition }) => [generation, decodeView(definition)]))
  return rows.map(({ generation, path, ...row }) => ({
    ...row,
    of: keyOf(known.get(generation), path),
    advice: adviceOn(row.sqlstate),
  }))
}

const keyOf = (view: StoredView | undefined, number: number): string => {
  const path = view?.paths[pathOf(number)]
  if (!view || !path) return 'a key'
  if (number > 0) return `a value by which ${path.entity} leads to rows; any row may depend on it`
  const { rollup, part } = view.nodes[path.node]!
  if (rollup) return `a row of ${path.entity} that is counted; any row may depend on it`
  if (part) return `a row of ${path.entity} that is listed; any row may depend on it`
  return view.table.grouped ? 'the group' : 'the row'
}

/** By SQLSTATE, then by class. */
const advices: Readonly<Record<string, string>> = {
  '22012': 'an @expr divides by a value that is 0 here: write nullif(…, 0) in it, or correct the value at its source',
  '22003': 'a value exceeds its type: make the field Long or Decimal, or correct the value at its source',
  '22P02':
    'an @expr casts a text that has another form: guard the cast with a case, or correct the value at its source',
  '57014':
    'it takes longer than a statement may: see its cost with forebay explain view; fewer rows reach it with a where or a smaller first',
  '54000':
    'a value is too long for an index: drop @lookup, @filter, @order or groupBy of that field, or shorten the value at its source',
  '22': 'an @expr can not be computed from the values that this key has: guard it, or correct the values at their source',
  '23': 'the row breaks a constraint of the view’s table, which the engine did not make: drop it',
  '54': 'the row exceeds a limit of Postgres: show less of what it lists, or correct the values at their source',
}
const adviceOn = (sqlstate: string): string =>
  advices[sqlstate] ??
  advices[sqlstate.slice(0, 2)] ??
  'find the SQLSTATE in Postgres’s manual; the statement is in forebay explain view'
