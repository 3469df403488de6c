/**
 * Postgres's logical replication messages, protocol version 1, from their bytes.
 * https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 *
 * Read here since the libraries' readers change values on the way: postgres.js parses them by its own types, pg-logical-replication drops a
 * leading byte order mark, and confirms one byte more than it was told to, which skips a commit that begins right there.
 */
import { type Cell, type Cells, unsent } from './envelope.ts'
import { textOfBytes } from './postgres-value.ts'

export type Relation = {
  readonly oid: number
  readonly schema: string
  readonly table: string
  readonly columns: readonly { readonly name: string; readonly type: number; readonly modifier: number }[]
}
/** `whole`: a row as it was (replica identity FULL); else its key alone, the other columns null. */
export type Old = { readonly whole: boolean; readonly cells: Cells }

/** `lsn`: of the commit record; `end`: just behind it. `micros`: of the commit, since 1970. */
export type Message =
  | { readonly kind: 'begin'; readonly lsn: bigint; readonly micros: bigint; readonly xid: number }
  | { readonly kind: 'commit'; readonly end: bigint }
  | { readonly kind: 'relation'; readonly relation: Relation }
  | { readonly kind: 'insert'; readonly oid: number; readonly cells: Cells }
  | { readonly kind: 'update'; readonly oid: number; readonly old: Old | undefined; readonly cells: Cells }
  | { readonly kind: 'delete'; readonly oid: number; readonly old: Old }
  | { readonly kind: 'truncate'; readonly oids: readonly number[] }
  | { readonly kind: 'other' }

/** Postgres counts from 2000. */
const epochMicros = 946_684_800_000_000n

export const readMessage = (bytes: Buffer): Message => {
  const read = reader(bytes)
  switch (read.letter()) {
    case 'B':
      return { kind: 'begin', lsn: read.int64(), micros: read.int64() + epochMicros, xid: read.int32() >>> 0 }
    case 'C': {
      read.skip(1 + 8)
      return { kind: 'commit', end: read.int64() }
    }
    case 'R': {
      const relation = { oid: read.int32() >>> 0, schema: read.name(), table: read.name() }
      read.skip(1)
      const columns = read.times(read.int16(), () => {
        read.skip(1)
        return { name: read.name(), type: read.int32() >>> 0, modifier: read.int32() }
      })
      return { kind: 'relation', relation: { ...relation, columns } }
    }
    case 'I': {
      const oid = read.int32() >>> 0
      read.skip(1)
      return { kind: 'insert', oid, cells: read.cells() }
    }
    case 'U': {
      const oid = read.int32() >>> 0
      const kind = read.letter()
      const old = kind === 'N' ? undefined : { whole: kind === 'O', cells: read.cells() }
      if (old !== undefined) read.skip(1)
      return { kind: 'update', oid, old, cells: read.cells() }
    }
    case 'D': {
      const oid = read.int32() >>> 0
      const whole = read.letter() === 'O'
      return { kind: 'delete', oid, old: { whole, cells: read.cells() } }
    }
    case 'T': {
      const count = read.int32()
      read.skip(1)
      return { kind: 'truncate', oids: read.times(count, () => read.int32() >>> 0) }
    }
    default:
      return { kind: 'other' }
  }
}

const reader = (bytes: Buffer) => {
  let at = 0
  const take = (length: number): number => {
    const from = at
    at += length
    return from
  }
  const times = <T>(count: number, one: () => T): T[] => Array.from({ length: count }, one)
  const int16 = (): number => bytes.readInt16BE(take(2))
  const int32 = (): number => bytes.readInt32BE(take(4))
  const letter = (): string => String.fromCharCode(bytes[take(1)]!)
  const cell = (): Cell => {
    switch (letter()) {
      case 'n':
        return null
      case 'u':
        return unsent
      default: {
        const length = int32()
        const from = take(length)
        return textOfBytes(bytes.subarray(from, from + length))
      }
    }
  }
  return {
    letter,
    int16,
    int32,
    times,
    int64: (): bigint => bytes.readBigInt64BE(take(8)),
    skip: (length: number): void => void take(length),
    name: (): string => {
      const end = bytes.indexOf(0, at)
      const text = bytes.toString('utf8', at, end)
      at = end + 1
      return text
    },
    cells: (): Cells => times(int16(), cell),
  }
}
