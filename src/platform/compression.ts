/**
 * Answers packed as the caller prefers. Small ones go as they are: packing costs more than it saves. Packing runs on libuv's threads, so
 * that an answer of a megabyte holds up no other.
 */
import { promisify } from 'node:util'
import {
  type BrotliOptions,
  brotliCompress,
  constants,
  gzip,
  type ZlibOptions,
  type ZstdOptions,
  zstdCompress,
} from 'node:zlib'
import { LRUCache } from 'lru-cache'
import Negotiator from 'negotiator'

/** Below it an answer fits into a packet or two anyway. */
export const leastPacked = 1_400

type Pack = (plain: Buffer) => Promise<Buffer>
const { BROTLI_PARAM_QUALITY, ZSTD_c_compressionLevel } = constants
const toGzip = promisify<Buffer, ZlibOptions, Buffer>(gzip)
const toBrotli = promisify<Buffer, BrotliOptions, Buffer>(brotliCompress)
const toZstd = promisify<Buffer, ZstdOptions, Buffer>(zstdCompress)
/** What pays while somebody waits: each packs JSON to about a fifth, zstd at the least cost. */
const packers: Readonly<Record<string, Pack>> = {
  zstd: (plain) => toZstd(plain, { params: { [ZSTD_c_compressionLevel]: 3 } }),
  br: (plain) => toBrotli(plain, { params: { [BROTLI_PARAM_QUALITY]: 4 } }),
  gzip: (plain) => toGzip(plain, { level: 5 }),
}
const offered = Object.keys(packers)

/** Its types don't know the option yet: which to take of those that a caller likes equally. */
type Chooser = { encodings(available: readonly string[], options: { readonly preferred: readonly string[] }): string[] }
/** By the header's text: callers send few different ones. */
const chosen = new LRUCache<string, string>({ max: 200 })
const choose = (accept: string): string => {
  const known = chosen.get(accept)
  if (known !== undefined) return known
  const request = { headers: { 'accept-encoding': accept } }
  const [best = 'identity'] = (new Negotiator(request) as unknown as Chooser).encodings([...offered, 'identity'], {
    preferred: offered,
  })
  chosen.set(accept, best)
  return best
}

export type Packed = { readonly bytes: Buffer; readonly encoding: string }

/** Undefined where the text is to be sent as it is. `accept`: Accept-Encoding as it came. */
export const pack = (text: string, accept: string | undefined): Promise<Packed> | undefined => {
  if (accept === undefined || text.length < leastPacked) return undefined
  const encoding = choose(accept)
  const packer = packers[encoding]
  if (!packer) return undefined
  return packer(Buffer.from(text)).then((bytes) => ({ bytes, encoding }))
}
