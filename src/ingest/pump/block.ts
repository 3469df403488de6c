/** What keeps a record from being read for now, so that its partition waits there rather than losing it. */
import type { Decoded, LogRecord } from '../change.ts'
import type { Decoder } from '../decode.ts'
import type { SchemaStore } from '../registry/schemas.ts'

/**
 * `schema`: it needs one that isn't at hand. `stopped`: its schema stops the one entity that reads its topic. Where several do, the others
 * go on, and what is the stopped one's waits in quarantine.
 */
export type Block =
  | { readonly kind: 'schema'; readonly ref: string }
  | { readonly kind: 'stopped'; readonly entity: string; readonly reason: string }

export const blockOf = (decoded: readonly Decoded[]): Block | undefined => {
  const needs = decoded.find((result) => result.kind === 'unprepared')
  if (needs) return { kind: 'schema', ref: needs.schema }
  const [only] = decoded
  if (decoded.length !== 1 || only?.kind !== 'stopped') return undefined
  return { kind: 'stopped', entity: only.entity, reason: only.reason }
}

/** As many of the records, in order, as can be read now, and what stops at the next one. */
export const readWhileOpen = <T extends object>(
  records: readonly LogRecord[],
  read: (record: LogRecord) => T | { readonly block: Block },
): { readonly items: readonly T[]; readonly block?: Block } => {
  const items: T[] = []
  for (const record of records) {
    const one = read(record)
    if ('block' in one) return { items, block: one.block }
    items.push(one)
  }
  return { items }
}

/** What the record comes to once every schema that it needs is at hand. Throws what fetching one throws. */
export const decodeReady = async (
  decoder: Decoder,
  schemas: Pick<SchemaStore, 'fetch'>,
  record: LogRecord,
  epoch: number,
): Promise<readonly Decoded[]> => {
  for (;;) {
    const decoded = decoder.decode(record, epoch)
    const block = blockOf(decoded)
    if (block?.kind !== 'schema') return decoded
    await schemas.fetch(record.topic, block.ref)
  }
}
