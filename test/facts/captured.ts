/** Captured records as tests take them apart and vary them. */
import type { LogRecord } from '../../src/ingest/change.ts'

export type Envelope = {
  readonly op: string
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
  readonly source: Readonly<Record<string, unknown>> & { readonly lsn: number; readonly txId: number }
  readonly transaction: { readonly id: string } | null
}
/** Undefined: a tombstone. */
export const envelopeOf = ({ value }: LogRecord): Envelope | undefined =>
  value === null ? undefined : (JSON.parse(value.toString()) as Envelope)

export const inTransaction =
  (tx: number) =>
  (record: LogRecord): boolean =>
    envelopeOf(record)?.source.txId === tx

export const ofKey =
  (key: object) =>
  (record: LogRecord): boolean =>
    String(record.key) === JSON.stringify(key)

/** Each partition's records, in its order. */
export const byPartition = (records: readonly LogRecord[]): readonly (readonly LogRecord[])[] => [
  ...Map.groupBy(records, ({ partition }) => partition).values(),
]

/** A record that the capture lacks, made of one that it has. `change` gives what is different of its envelope; `source` is merged. */
export const varied = (
  record: LogRecord,
  change: (
    envelope: Envelope,
  ) => { readonly source?: Readonly<Record<string, unknown>> } & Partial<Omit<Envelope, 'source'>>,
): LogRecord => {
  const envelope = envelopeOf(record)!
  const { source, ...rest } = change(envelope)
  return {
    ...record,
    value: Buffer.from(JSON.stringify({ ...envelope, ...rest, source: { ...envelope.source, ...source } })),
  }
}

/** Every order in which whole partitions may come. */
export const orders = <T>(items: readonly T[]): readonly (readonly T[])[] =>
  items.length < 2
    ? [items]
    : items.flatMap((first, n) => orders(items.filter((_, m) => m !== n)).map((rest) => [first, ...rest]))
