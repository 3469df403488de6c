/**
 * Position tokens: what must be in an answer (C27). Three kinds, parted by commas where there are several:
 *
 *   <packed>.<signature>                what an answer gave: how far the sources of its views were applied. Signed, so that it stays opaque
 *   at:<topic>-<partition>-<offset>     a record, as who wrote it knows it
 *   lsn:<source>:<lsn>                  a commit of the Postgres behind topics <source>.…: its log's position, read after the commit
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { sign, verify } from '../access/secret.ts'

type Place = {
  readonly topic: string
  /** Of this topic and no other of its name; null: its log gives none, or the writer doesn't know it. */
  readonly topicId: string | null
  readonly partition: number
}
/** `next`: the offset after the last that must be in. `epoch` null: that of now. */
export type RequiredOffset = Place & { readonly kind: 'OFFSET'; readonly epoch: number | null; readonly next: bigint }
export type RequiredLsn = { readonly kind: 'LSN'; readonly source: string; readonly lsn: bigint }
export type Required = RequiredOffset | RequiredLsn

type Applied = Place & { readonly epoch: number; readonly nextOffset: string }

/** A topic's own id is in it, where its log gives one: of a topic made anew under that name the same offsets say nothing. */
type Positions = {
  readonly id: string | null
  readonly at: Record<string, readonly [epoch: number, nextOffset: string]>
}

/**
 * `at`: no row of the answer was read later, by the primary's clock. What it was read of may be further than the positions, which were asked for
 * before: who echoes the token is answered from the primary, or from what is known to be no older than that moment.
 */
type Packed = { readonly at: number; readonly of: Record<string, Positions> }

/** Packed since it travels in a header. */
export const positionToken = (partitions: readonly Applied[], at: number, key: Buffer): string => {
  const position: Record<string, Positions> = {}
  for (const { topic, topicId, partition, epoch, nextOffset } of partitions) {
    position[topic] ??= { id: topicId, at: {} }
    position[topic].at[partition] = [epoch, nextOffset]
  }
  const packed: Packed = { at, of: position }
  return sign(deflateRawSync(JSON.stringify(packed)), key)
}

/** `readAt`: of a token that an answer gave. `why`: goes on "…, which". */
type Read =
  | { readonly ok: true; readonly required: readonly Required[]; readonly readAt?: number }
  | { readonly ok: false; readonly why: string }

const record = /^at:([\w.-]{1,249})-(\d{1,9})-(\d{1,18})$/
const commit = /^lsn:([\w.-]{1,249}):([\dA-Fa-f]{1,8})\/([\dA-Fa-f]{1,8})$/
const mostUnpacked = 4 * 1_024 * 1_024

/** One token. */
export const readToken = (text: string, key: Buffer): Read => {
  if (text.startsWith('at:')) {
    const [, topic, partition, offset] = record.exec(text) ?? []
    if (topic === undefined) return { ok: false, why: 'names no record' }
    const next = BigInt(offset!) + 1n
    return one({ kind: 'OFFSET', topic, topicId: null, partition: Number(partition), epoch: null, next })
  }
  if (text.startsWith('lsn:')) {
    const [, source, high, low] = commit.exec(text) ?? []
    if (source === undefined) return { ok: false, why: 'names no commit' }
    return one({ kind: 'LSN', source, lsn: (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`) })
  }
  const bytes = /^[\w-]+\.[\w-]+$/.test(text) ? verify(text, key) : undefined
  if (bytes === undefined) return { ok: false, why: 'was not given by this Forebay, or was changed since' }
  const unpacked = inflateRawSync(bytes, { maxOutputLength: mostUnpacked })
  const { at, of } = JSON.parse(unpacked.toString()) as Partial<Packed>
  if (at === undefined || of === undefined) return { ok: false, why: 'is of another version of Forebay' }
  return { ok: true, required: requiredBy(of), readAt: at }
}
const one = (required: Required): Read => ({ ok: true, required: [required] })

const requiredBy = (position: Record<string, Positions>): readonly Required[] =>
  Object.entries(position).flatMap(([topic, { id, at }]) =>
    Object.entries(at).map(
      ([partition, [epoch, next]]): RequiredOffset => ({
        kind: 'OFFSET',
        topic,
        topicId: id,
        partition: Number(partition),
        epoch,
        next: BigInt(next),
      }),
    ),
  )

/** How it is named in what callers are told. */
export const requiredName = (required: Required): string =>
  required.kind === 'OFFSET'
    ? `${required.topic}-${required.partition}-${required.next - 1n}`
    : `${required.source} at ${(required.lsn >> 32n).toString(16).toUpperCase()}/${(required.lsn & 0xffffffffn).toString(16).toUpperCase()}`

/** Topics that are read from the source of that name. */
export const isOfSource = (source: string, topic: string): boolean => topic === source || topic.startsWith(`${source}.`)
