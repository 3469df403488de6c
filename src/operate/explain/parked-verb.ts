/** `forebay explain parked [<View>]`: prints what parked.ts finds. */
import { withDatabase } from '../database.ts'
import { type Input, print, whole } from '../verb.ts'
import { parkedKeys } from './parked.ts'

/** `view`: only of this one. Answers 1 where something is parked. */
export const runParked = async (input: Input, view: string | undefined): Promise<number> => {
  const limit = whole(input, 'limit') ?? 100
  const found = await withDatabase(input.config, 'explain', (sql) => parkedKeys(sql, view, limit + 1))
  const keys = found.slice(0, limit)
  const more = found.length > limit
  if (input.flag('json')) print(JSON.stringify({ keys, more }))
  else if (keys.length === 0) print(`No key${view === undefined ? '' : ` of ${view}`} is parked.`)
  else {
    for (const { view, key, of, sqlstate, reason, advice, since, attempts, nextAttemptAt } of keys)
      print(`${view}  ${key}  ${sqlstate} ${reason}
  what      ${of}
  since     ${since}, ${attempts === 1 ? 'tried once' : `tried ${attempts} times`}, again at ${nextAttemptAt}${sqlstate === '57014' ? '' : ' and when it is touched'}
  do        ${advice}`)
    print(
      'A key leaves by itself once it succeeds. A changed definition is built beside this one, and begins without parked keys.',
    )
    if (more) print(`There are more: --limit ${10 * limit}`)
  }
  return keys.length > 0 ? 1 : 0
}
