/**
 * The order that Debezium's source itself gives, by its connector:
 *
 * | source block | major | minor of a change; of a snapshot's read |
 * |---|---|---|
 * | `lsn` (Postgres) | the later of the lsn and of the last commit before the transaction's | lsn; 0 |
 * | `file`, `pos`, `row` (MySQL, MariaDB) | the file's number, then the position | row + 1; 0 |
 * | others | none: the offset orders, or a declared version | |
 *
 * Postgres numbers changes when they are made and sends them when they are committed. So a transaction that was open while a snapshot was
 * taken has lsns from before it, though the snapshot lacks its changes; `sequence` tells what was committed before. Within a key the
 * order stays the lsn's, since a row is locked until the commit. MySQL writes its binlog at the commit, so its places are in order.
 */
import { type Document, isNumber, type JsonObject, numberText } from './document.ts'
import { DecodeFault } from './fault.ts'

/** What a format's own rule says when nothing is declared. `id`: the change's place at the source. */
export type NativeOrder =
  | {
      readonly kind: 'log'
      readonly major: bigint
      readonly minor: bigint
      readonly id: string
      readonly snapshot: boolean
    }
  | { readonly kind: 'offset' | 'incremental' | 'missing' }

/** `missing`: a source that has an order, and a change that lacks it. */
export const nativeOrder = (op: string, source: JsonObject, document: Document): NativeOrder => {
  const { lsn, file, connector } = source
  const read = op === 'r'
  // Incremental reads of a source with lsns come with a null one; sources without lsns have no such field.
  if (read && (source.snapshot === 'incremental' || lsn === null)) return { kind: 'incremental' }
  if (isNumber(lsn)) {
    const place = BigInt(Number.isSafeInteger(lsn) ? (lsn as number) : numberText(lsn, document))
    if (read) return { kind: 'log', major: place, minor: 0n, id: String(place), snapshot: true }
    const before = committedBefore(source.sequence)
    return { kind: 'log', major: before > place ? before : place, minor: place, id: String(place), snapshot: false }
  }
  if (typeof file === 'string' && isNumber(source.pos)) return binlogOrder(read, file, source.pos, source, document)
  return { kind: connector === 'postgresql' || connector === 'mysql' || connector === 'mariadb' ? 'missing' : 'offset' }
}

/** The end of the last commit before the transaction's own, by `["213275600","213275984"]`; 0 where the connector can't tell yet. */
const committedBefore = (sequence: unknown): bigint => {
  const match = typeof sequence === 'string' ? /^\["(\d{1,19})",/.exec(sequence) : null
  return BigInt(match?.[1] ?? 0)
}

const binlogOrder = (
  read: boolean,
  file: string,
  pos: number | { readonly rawJSON: string },
  source: JsonObject,
  document: Document,
): NativeOrder => {
  const number = /\.(\d{1,10})$/.exec(file)?.[1]
  const at = BigInt(numberText(pos, document))
  if (number === undefined) return { kind: 'missing' }
  const [files, row] = [BigInt(number), isNumber(source.row) ? BigInt(numberText(source.row, document)) : 0n]
  if (files >= 1n << 31n || at < 0n || at >= 1n << 32n)
    throw new DecodeFault('has a binlog position that is beyond 32 bits')
  return {
    kind: 'log',
    major: (files << 32n) | at,
    minor: read ? 0n : row + 1n,
    id: `${number}:${at}:${row}`,
    snapshot: read,
  }
}
