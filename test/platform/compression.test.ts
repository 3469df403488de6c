import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { pack } from '../../src/platform/compression.ts'

const long = JSON.stringify(Array.from({ length: 500 }, (_, i) => ({ id: `c${i}`, name: 'Ada' })))
const unpack: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  gzip: gunzipSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
}

test.each([
  ['gzip, deflate, br, zstd', 'zstd'],
  ['gzip, deflate, br', 'br'],
  ['gzip', 'gzip'],
  ['gzip;q=1.0, br;q=0.2', 'gzip'],
  ['*', 'zstd'],
  ['zstd;q=0, *;q=0.1', 'br'],
])('to %s it answers in %s', async (accept, encoding) => {
  const packed = await pack(long, accept)
  expect(packed?.encoding).toBe(encoding)
  expect(packed!.bytes.length).toBeLessThan(long.length / 3)
  expect(unpack[encoding]!(packed!.bytes).toString()).toBe(long)
})

test.each([undefined, '', 'identity', 'deflate', 'gzip;q=0', 'identity, gzip;q=0.5'])(
  'to %s it answers as it is',
  (accept) => {
    expect(pack(long, accept)).toBe(undefined)
  },
)

test('a short answer goes as it is', () => {
  expect(pack('{"data":null}', 'gzip')).toBe(undefined)
})
