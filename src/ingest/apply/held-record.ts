/** Records of quarantine as their log had them. */
import type { LogRecord } from '../change.ts'
import type { Tx } from './fence.ts'
import { type HeldKey, isHeld } from './quarantine.ts'

/** A record whose key could not be told. */
export type UntoldRecord = {
  readonly id: string
  readonly entity: string
  readonly epoch: number
  readonly state: 'PARKED' | 'WAITING'
  readonly reason: string
  readonly major: bigint | null
  /** An instant in UTC, ordered as text: the frontier before its batch. */
  readonly origin: string
  readonly record: LogRecord
}
export type HeldRecord = UntoldRecord & HeldKey

type Row = Omit<HeldRecord, 'record' | 'major'> & {
  readonly topic: string
  readonly partition: number
  readonly offset: string
  readonly major: string | null
  readonly bytes: Buffer | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, readonly string[]>> | null
  readonly timestamp: number
}

// An origin that isn't known is taken for the beginning of time: it is a bound, if a poor one.
const columns = `q.id::text, q.entity, q.entity_key as key, q.topic, q.partition, q."offset", q.epoch, q.state, q.reason, q.major,
  to_char(coalesce(q.origin, 'epoch') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as origin,
  q.key as bytes, q.value, q.headers, coalesce(extract(epoch from q.record_time) * 1000, 0)::float8 as timestamp`

const recordOf = ({ topic, partition, offset, bytes, value, headers, timestamp, major, ...row }: Row): HeldRecord => ({
  ...row,
  major: major === null ? null : BigInt(major),
  record: { topic, partition, offset: BigInt(offset), key: bytes, value, headers: headersOf(headers), timestamp },
})

const headersOf = (headers: Row['headers']): LogRecord['headers'] =>
  Object.fromEntries(
    Object.entries(headers ?? {}).map(([name, values]) => {
      const buffers = values.map((value) => Buffer.from(value, 'base64'))
      return [name, buffers.length === 1 ? buffers[0] : buffers]
    }),
  )

/** What is held of these keys, in the order of the log. */
export const readHeld = async (tx: Tx, keys: readonly HeldKey[]): Promise<readonly HeldRecord[]> => {
  const rows = await tx.unsafe<Row[]>(
    `select ${columns} from forebay.quarantine q
     where (q.entity, q.entity_key) in (select * from unnest($1::text[], $2::text[])) and q.${isHeld}
     order by q.epoch, q.partition, q."offset", q.id`,
    [keys.map(({ entity }) => entity), keys.map(({ key }) => key)],
  )
  return rows.map(recordOf)
}

/** Those of these records whose key could not be told and that their partitions stand at, with the positions locked. */
export const readUntold = async (tx: Tx, ids: readonly string[]): Promise<readonly UntoldRecord[]> => {
  await tx`
    select from forebay.positions p
    where (topic, partition) in (select topic, partition from forebay.quarantine where id = any(${ids as string[]}::bigint[]))
    order by topic, partition for update`
  const rows = await tx.unsafe<Row[]>(
    `select ${columns} from forebay.quarantine q
     where q.id = any($1::bigint[]) and q.entity_key is null and q.state = 'PARKED'
     order by q.topic, q.partition, q."offset", q.id for no key update`,
    [ids as string[]],
  )
  return rows.map(recordOf)
}
