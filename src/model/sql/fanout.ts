/**
 * What a raw join value leads to, a stretch at a time: so that a value that leads to very many keys is followed beside live work and not
 * in front of it (C10). Rows come in the order of the keys along the way, from the value's own neighbours down to the root, and a cursor
 * holds those keys: every statement begins where one ended, by index. A lateral subquery with OFFSET can only be joined by a nested loop,
 * which keeps the order of both its sides; an ORDER BY over it would have all rows read and sorted for each stretch.
 *
 * The statement after a cursor is one for each step of the way: first what is left below the cursor's innermost row, then of the row
 * before it, and so on. `(a, b) > (x, y)` over two tables could not be answered by their indexes.
 */
import type { Entity, Join } from '../model.ts'
import { columnName, entityTable, ident } from '../names.ts'
import { alongSteps } from './dirty-path.ts'
import { keyArray, keyValue, lookup, shardOf } from './key.ts'
import { columnOf, type Dependencies } from './row-scope.ts'

/** Rows are `k` (a root key's JSON text) and its `shard`; a key may come more than once. */
export type FanoutSql = {
  /** `$1`: values, as `expand` takes them, `$2`: at most so many keys of each. Each row says of which value it is: `n`, from 0. */
  readonly probe: string
  /** `$1`: one value, `$2`: at most so many keys. Rows come in order, each with its `cursor`. */
  readonly first: string
  /** After the cursor `$3`; in the order in which they are to be asked. */
  readonly after: readonly string[]
}

/** `steps` lead from the root to `changed`, whose values are logged: what it is joined by, or its own key (`byKey`). */
export const fanoutSql = (
  top: Entity,
  changed: Entity,
  steps: readonly Join[],
  dependencies: Dependencies,
  byKey = false,
): FanoutSql => {
  const entityAt = alongSteps(top, steps, dependencies)
  const last = steps.at(-1)!
  const given = byKey ? changed.key : last.to
  const values = given.map((name, i) => `${keyValue('v.value', i, columnOf(changed, name))} as c${i}`)
  const own = (name: string) => `e.${ident(columnName(name))}`
  const entered = byKey
    ? lookup(entityTable(changed), 'e', [...given.map((name, i) => `${own(name)} = x.c${i}`), 'e._live'])
    : ''
  const levels = steps.map(({ from }, depth) => levelOf(entityAt(depth), depth, from)).reverse()
  const root = levels.at(-1)!
  const key = keyArray(root.entity.key.map((name) => ({ sql: root.sql(name), type: columnOf(root.entity, name).type })))
  /** The columns by which the rows of a level are found, and the values to find them by. */
  const found = (level: Level) => {
    const { from, to } = steps[level.depth]!
    const outer = level.depth === steps.length - 1 ? undefined : `p${level.depth + 1}`
    const columns = from.map(level.sql)
    const values = to.map((name, i) => (outer ? `${outer}.${ident(columnName(name))}` : byKey ? own(name) : `x.c${i}`))
    return { columns, values }
  }
  /**
   * `key`: the cursor's keys of this level, and how the level's are to compare with them. Everything is said of the columns of one index,
   * as a range: of an equality the planner takes the key's own index for as good, and reads all of it.
   */
  const ordered = (
    level: Level,
    key?: { readonly operator: '=' | '>'; readonly values: readonly string[] },
  ): string => {
    const { columns, values } = found(level)
    const all = [...columns, ...level.rest.map(level.sql)]
    const to = [...values, ...(key?.values ?? [])]
    const range = {
      '=': [`${tuple(all)} >= ${tuple(to)}`, `${tuple(all)} <= ${tuple(to)}`],
      '>': [`${tuple(all)} > ${tuple(to)}`, `${tuple(columns)} <= ${tuple(values)}`],
      all: [`${tuple(columns)} >= ${tuple(values)}`, `${tuple(columns)} <= ${tuple(values)}`],
    }[key?.operator ?? 'all']
    return `select ${level.alias}.* from ${entityTable(level.entity)} ${level.alias} where ${[...range, `${level.alias}._live`].join(' and ')} order by ${all.join(', ')} offset 0`
  }
  const chain = (rows: (level: Level) => string): string =>
    levels.map((level) => `cross join lateral (${rows(level)}) ${level.alias}`).join(' ')

  let place = 0
  const placed = levels.map((level) => {
    const at = place
    place += level.rest.length
    return level.rest.map((name, i) => keyValue('$3::text::jsonb', at + i, columnOf(level.entity, name)))
  })
  const cursor = levels.flatMap(({ entity, sql, rest }) =>
    rest.map((name) => ({ sql: sql(name), type: columnOf(entity, name).type })),
  )
  const stretch = (rows: (level: Level) => string): string =>
    `select k::text as k, ${shardOf('k')} as shard, cursor::text as cursor from (
  select ${key} as k, ${keyArray(cursor)} as cursor
  from (select ${values.join(', ')} from (select $1::text::jsonb as value) v offset 0) x ${entered} ${chain(rows)} limit $2::int) f`
  return {
    probe: `select n, k::text as k, ${shardOf('k')} as shard
from (select v.n::int - 1 as n, ${values.join(', ')} from jsonb_array_elements($1::text::jsonb) with ordinality v (value, n) offset 0) x ${entered}
cross join lateral (select ${key} as k from (select) one ${chain((level) => {
      const match = found(level)
      const on = match.columns.map((column, i) => `${column} = ${match.values[i]}`)
      return `select ${level.alias}.* from ${entityTable(level.entity)} ${level.alias} where ${[...on, `${level.alias}._live`].join(' and ')} offset 0`
    })} limit $2::int) y`,
    first: stretch((level) => ordered(level)),
    // Of what is found by the whole of its key there is one row, and nothing after it.
    after: levels
      .flatMap(({ rest }, at) =>
        rest.length === 0
          ? []
          : [
              stretch((level) => {
                const i = levels.indexOf(level)
                return i > at ? ordered(level) : ordered(level, { operator: i < at ? '=' : '>', values: placed[i]! })
              }),
            ],
      )
      .reverse(),
  }
}

const tuple = (terms: readonly string[]): string => `(${terms.join(', ')})`

/** `rest`: the fields of the key by which rows that are found together are told apart. */
type Level = {
  readonly entity: Entity
  readonly depth: number
  readonly alias: string
  readonly rest: readonly string[]
  sql(field: string): string
}
const levelOf = (entity: Entity, depth: number, from: readonly string[]): Level => {
  const alias = `p${depth}`
  const sql = (field: string): string => `${alias}.${ident(columnName(field))}`
  return { entity, depth, alias, sql, rest: entity.key.filter((name) => !from.includes(name)) }
}
