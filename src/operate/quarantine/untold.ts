/** Records whose key can't be told: their partitions stand at them until they are read again, or stepped over. */
import type { Tx } from '../../ingest/apply/fence.ts'
import { readUntold, type UntoldRecord } from '../../ingest/apply/held-record.ts'
import { isHeld, settle } from '../../ingest/apply/quarantine.ts'
import type { LogRecord } from '../../ingest/change.ts'
import type { Decoder } from '../../ingest/decode.ts'
import type { Sql } from '../../platform/postgres.ts'
import { type Drop, note } from './audit.ts'

/** Has what a record needs to be decoded at hand, or throws. */
export type Ready = (record: LogRecord, epoch: number) => Promise<unknown>
export type Selection = { readonly ids?: readonly string[]; readonly entity?: string; readonly topic?: string }

/** Lets those be read again that can be read by now. `parked`: those that can't. `reread`: partitions that go on. */
export const redriveUntold = async (
  sql: Sql,
  decoder: Decoder,
  { ids, entity, topic }: Selection,
  ready: Ready = async () => {},
): Promise<{ readonly parked: number; readonly reread: number }> => {
  const rows = await sql.unsafe<{ id: string }[]>(
    `select id::text from forebay.quarantine
     where ${isHeld} and entity_key is null and ($1::bigint[] is null or id = any($1::bigint[]))
       and ($2::text is null or entity = $2) and ($3::text is null or topic = $3)`,
    [(ids as string[] | undefined) ?? null, entity ?? null, topic ?? null],
  )
  if (rows.length === 0) return { parked: 0, reread: 0 }
  const read = (tx: Tx) =>
    readUntold(
      tx,
      rows.map(({ id }) => id),
    )
  for (const { record, epoch } of await sql.begin(read)) await ready(record, epoch).catch(() => undefined)
  return sql.begin(async (tx) => {
    const records = await read(tx)
    const readable = records.filter((record) => canBeTold(decoder, record))
    await settle(
      tx,
      readable.map(({ id }) => id),
      'REDRIVEN',
    )
    return { parked: records.length - readable.length, reread: await goOn(tx, readable) }
  }) as Promise<{ readonly parked: number; readonly reread: number }>
}

const canBeTold = (decoder: Decoder, { entity, epoch, record }: UntoldRecord): boolean =>
  decoder
    .decode(record, epoch)
    .every(
      (one) =>
        one.kind !== 'unprepared' &&
        !((one.kind === 'bad' || one.kind === 'stopped') && one.entity === entity && !one.told),
    )

export const dropUntold = async (
  sql: Sql,
  drop: Drop,
): Promise<{ readonly dropped: number; readonly reread: number }> =>
  sql.begin(async (tx) => {
    const records = await readUntold(tx, drop.ids)
    if (records.length === 0) return { dropped: 0, reread: 0 }
    await settle(
      tx,
      records.map(({ id }) => id),
      'DROPPED',
    )
    await note(tx, drop, records)
    return { dropped: records.length, reread: await goOn(tx, records) }
  }) as Promise<{ readonly dropped: number; readonly reread: number }>

/** Partitions that stand at one of these records and at no other that is still parked. */
const goOn = async (tx: Tx, records: readonly UntoldRecord[]): Promise<number> => {
  const places = records.map(({ record: { topic, partition, offset }, epoch }) => ({
    topic,
    partition,
    offset: String(offset),
    epoch,
  }))
  const rows = await tx`
    update forebay.positions p set state = 'RUNNING', reason = null, paused_by = null, stopped_at = null
    where p.state = 'PAUSED' and p.paused_by = 'RECORD'
      and (p.topic, p.partition, p.next_offset, p.epoch) in (
        select topic, partition, "offset", epoch
        from json_to_recordset(${JSON.stringify(places)}::text::json) as x(topic text, partition int, "offset" bigint, epoch int))
      and not exists (
        select from forebay.quarantine q
        where q.topic = p.topic and q.partition = p.partition and q."offset" = p.next_offset and q.epoch = p.epoch
          and q.entity_key is null and q.state = 'PARKED')
    returning p.topic`
  return rows.length
}
