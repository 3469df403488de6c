/** Going on in the middle of a transaction, whatever the server says before it sends it again. */
import { expect, test } from 'vitest'
import { valueWriter } from '../../src/ingest/feed/postgres-value.ts'
import { type Place, readTransactions } from '../../src/ingest/feed/transactions.ts'

const int64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const int16 = (value: number): Buffer => int32(value).subarray(2)
const message = (...parts: readonly (string | Buffer)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)))

const begin = (commit: bigint) => message('B', int64(commit), int64(0n), int32(7))
const commit = (end: bigint) => message('C', Buffer.alloc(1), int64(end - 8n), int64(end), int64(0n))
const relation = message(
  'R',
  int32(1),
  'public\0things\0',
  'd',
  int16(1),
  Buffer.from([1]),
  'id\0',
  int32(25),
  int32(-1),
)
const insert = (id: string) => message('I', int32(1), 'N', int16(1), 't', int32(id.length), id)

const type = { oid: 25 }
const table = {
  schema: 'public',
  name: 'things',
  key: ['id'],
  kind: 'r',
  identities: ['d'],
  deferrable: false,
  columns: [{ name: 'id', sqlType: 'text', type, write: valueWriter(type) }],
}
const open = (from: Place) =>
  readTransactions({
    connection: 'src',
    followed: [{ topic: 'src.public.things', table }],
    from,
    types: async (oids) => new Map(oids.map((oid) => [oid, { oid }])),
  })
type Reader = ReturnType<typeof open>
/** The keys that come of a transaction of three rows that commits at 500. */
const resend = async (reader: Reader): Promise<readonly string[]> => {
  const keys: string[] = []
  const parts = [begin(500n), relation, insert('a'), insert('b'), insert('c'), commit(508n)]
  for (const bytes of parts)
    for (const { key } of await reader.read(bytes, 400n)) keys.push(JSON.parse(String(key)).id as string)
  return keys
}
const middle: Place = { lsn: 100n, at: 500n, inside: 2 }

test('what was appended of a transaction is not appended again', async () => {
  const reader = open(middle)
  expect(await resend(reader)).toEqual(['c'])
  expect(reader.place()).toEqual({ lsn: 508n })
})

test('a keepalive before the transaction comes again forgets nothing of it', async () => {
  const reader = open(middle)
  reader.passed(300n)
  expect(reader.place()).toEqual({ lsn: 300n, at: 500n, inside: 2 })
  expect(await resend(reader)).toEqual(['c'])
})

test('an empty transaction before it forgets nothing of it either', async () => {
  const reader = open(middle)
  for (const bytes of [begin(200n), commit(208n)]) await reader.read(bytes, 200n)
  expect(await resend(reader)).toEqual(['c'])
})

test('once it is past, the place is behind it', async () => {
  const reader = open({ lsn: 100n })
  expect(await resend(reader)).toEqual(['a', 'b', 'c'])
  reader.passed(900n)
  expect(reader.place()).toEqual({ lsn: 900n })
})
