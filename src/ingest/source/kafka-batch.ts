/** What kafkajs hands over, as the port has it. */
import type { Batch as Fetched, KafkaMessage } from 'kafkajs'
import type { LogRecord } from '../change.ts'
import { type Batch, type Claim, type Partition, partitionName } from '../source.ts'

/** Where the fetch began, compacted away or not: not in kafkajs's types, but on every batch. */
export const fetchedFrom = (batch: Fetched): bigint =>
  BigInt((batch as Fetched & { readonly fetchedOffset: string }).fetchedOffset)

/** From `next` on, as far as the partition may be read. */
export const batchOf = (fetched: Fetched, { topic, partition, until }: Claim, next: bigint): Batch => {
  const records = fetched.messages.map((message) => recordOf(message, { topic, partition }))
  const to = BigInt(fetched.lastOffset()) + 1n
  if (until === undefined || to <= until) return { topic, partition, from: next, to, records }
  return { topic, partition, from: next, to: until, records: records.filter(({ offset }) => offset < until) }
}

/** As the patch of kafkajs answers a batch whose checksum, compression or records are broken: alone, in place of its records. */
type Answered = Fetched['messages'][number] & {
  readonly undecodable?: { readonly firstOffset: string; readonly error: Error }
}

/** What can't be read; undefined where all can. */
export const faultOf = ({ messages: [first] }: Fetched, at: Partition): string | undefined => {
  const { undecodable } = (first ?? {}) as Answered
  if (undecodable === undefined) return undefined
  const { firstOffset, error } = undecodable
  return `${partitionName(at)} holds a batch at offset ${firstOffset} that can't be read (${error.message})`
}

export const recordOf = (message: KafkaMessage, { topic, partition }: Partition): LogRecord => ({
  topic,
  partition,
  offset: BigInt(message.offset),
  timestamp: Number(message.timestamp),
  key: message.key,
  value: message.value,
  headers: message.headers ?? {},
})
