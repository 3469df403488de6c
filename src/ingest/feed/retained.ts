/** How much of its log a source keeps for a slot: it grows while the feed is held or behind, until the source's disk is full or it gives the slot up. */
import { log } from '../../platform/log.ts'
import { gauge } from '../../platform/metrics.ts'
import type { Sql } from '../../platform/postgres.ts'
import { steadily } from '../steadily.ts'
import { slotName } from './slot.ts'

const lookMs = 5_000

const retainedGauge = gauge({
  name: 'forebay_slot_retained_bytes',
  help: 'Bytes of log that the source keeps for the slot.',
  labels: ['feed'],
})

export type Watch = { stop(): Promise<void> }
type Retained = { readonly bytes: number; readonly status: string | null }

/** Says so once when there is more than the bound, or when the source is about to give the slot up, and once when it is well again. */
export const watchRetained = (
  source: Sql,
  { connection, slotRetained }: { readonly connection: string; readonly slotRetained: number },
): Watch => {
  const slot = slotName(connection)
  let said = false
  return steadily('retained', lookMs, async () => {
    const [row] = await source<Retained[]>`
      select pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8 as bytes, wal_status as status
      from pg_replication_slots where slot_name = ${slot}`
    if (row === undefined) return
    const { bytes, status } = row
    retainedGauge.set({ feed: connection }, bytes)
    const much = bytes > slotRetained || status === 'unreserved'
    if (much === said) return
    said = much
    const about = { feed: connection, slot, bytes, bound: slotRetained, status }
    if (!much) log.info('slot.well', about)
    else
      log.error('slot.retains', {
        ...about,
        reason:
          'the source keeps its log for a slot that is not read on: see why its feed is held or its partitions stopped, before the disk is full or the slot is given up',
      })
  })
}
