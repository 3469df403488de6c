/** What a generation's work came to where keys were run alone: those that failed are parked, those that it didn't get to go back. */
import { log } from '../../platform/log.ts'
import { counter } from '../../platform/metrics.ts'
import type { Tx } from '../apply/fence.ts'
import type { Generation } from '../generations.ts'
import type { Alone } from './attempt.ts'
import { logKeys } from './log-keys.ts'
import { earliest, type Origin } from './origin.ts'
import { mostParked, parkKeys } from './park-keys.ts'

const failures = counter({
  name: 'forebay_view_key_failures_total',
  help: 'Attempts at recomputing a key that failed, and parked it.',
  labels: ['view', 'sqlstate'],
})

export const settle = async (
  tx: Tx,
  { generation, paths, table }: Generation,
  { culprits, left }: Pick<Alone, 'culprits' | 'left'>,
  origins: ReadonlyMap<number, Origin>,
): Promise<void> => {
  const originOf = (node: number): Origin =>
    earliest([...origins].filter(([path]) => paths[path]!.node === node).map(([, origin]) => origin))
  for (const { node, number, keys } of left) await logKeys(tx, generation, number, keys, originOf(node))
  if (culprits.length === 0) return
  const parked = culprits.map((culprit) => ({
    ...culprit,
    ...originOf(culprit.node),
    // What is kept beside the view may be read by any row, and a value that can’t be followed may lead to any.
    every: culprit.node > 0 || culprit.number > 0,
  }))
  const all = await parkKeys(tx, generation, parked)
  const { sqlstate, reason } = culprits[0]!
  if (all > mostParked)
    throw Object.assign(new Error(`more than ${mostParked} keys of ${table.view} fail`), { code: sqlstate })
  for (const culprit of culprits) failures.inc({ view: table.view, sqlstate: culprit.sqlstate })
  log.warn('view.keys-parked', { view: table.view, keys: culprits.length, sqlstate, reason, all })
}
