import type { BadRecord } from '../change.ts'
import type { Tx } from './fence.ts'

/** Keeps what could not be decoded or applied: bytes, headers, place and reason. A record that comes again stays one row. */
export const quarantine = async (tx: Tx, bad: readonly BadRecord[]): Promise<void> => {
  if (bad.length === 0) return
  const rows = bad.map(({ record, entity, reason }) => ({
    topic: record.topic,
    partition: record.partition,
    offset: String(record.offset),
    entity,
    reason,
    key: record.key?.toString('base64') ?? null,
    value: record.value?.toString('base64') ?? null,
    headers: Object.fromEntries(
      Object.entries(record.headers).map(([name, value]) => [
        name,
        [value].flat().map((each) => Buffer.from(each ?? '').toString('base64')),
      ]),
    ),
    time: record.timestamp / 1000,
  }))
  await tx`
    insert into forebay.quarantine (topic, partition, "offset", entity, reason, key, value, headers, record_time)
    select topic, partition, "offset", entity, reason, decode(key, 'base64'), decode(value, 'base64'), headers, to_timestamp(time)
    from json_to_recordset(${JSON.stringify(rows)}::text::json)
      as x(topic text, partition int, "offset" bigint, entity text, reason text, key text, value text, headers jsonb, time double precision)
    on conflict (topic, partition, "offset") do nothing`
}
