/**
 * The compressions that Kafka's clients use, beside gzip, which kafkajs brings. Registers them with kafkajs when it is imported.
 *
 * Snappy comes in two forms: Java's clients frame its blocks as snappy-java does, others write one bare block.
 */
import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import kafkajs from 'kafkajs'
import { compressFrame, decompressFrame } from 'lz4-napi'
import * as snappy from 'snappy'

// Node finds not all of a CommonJS module's names, so they are taken from its default.
const { CompressionCodecs, CompressionTypes } = kafkajs

type Codec = { compress(bytes: Buffer): Promise<Buffer>; decompress(bytes: Buffer): Promise<Buffer> }
const register = (type: 2 | 3 | 4, { compress, decompress }: Codec): void => {
  CompressionCodecs[type] = () => ({ compress: (encoder: { buffer: Buffer }) => compress(encoder.buffer), decompress })
}

/** Marks snappy-java's framing; after it stand its version, the oldest compatible one, and blocks with their sizes before them. */
const magic = Buffer.from('\x82SNAPPY\0', 'latin1')
const frameHeader = Buffer.concat([magic, Buffer.from([0, 0, 0, 1, 0, 0, 0, 1])])

const uncompress = async (block: Buffer): Promise<Buffer> => (await snappy.uncompress(block)) as Buffer

const unframe = async (bytes: Buffer): Promise<Buffer> => {
  const blocks: Promise<Buffer>[] = []
  for (let at = frameHeader.length; at < bytes.length; ) {
    const start = at + 4
    at = start + bytes.readUInt32BE(at)
    if (at > bytes.length) throw new Error('a snappy block is cut short')
    blocks.push(uncompress(bytes.subarray(start, at)))
  }
  return Buffer.concat(await Promise.all(blocks))
}

register(CompressionTypes.Snappy, {
  async compress(bytes) {
    const block = await snappy.compress(bytes)
    const size = Buffer.alloc(4)
    size.writeUInt32BE(block.length)
    return Buffer.concat([frameHeader, size, block])
  },
  decompress: (bytes) => (bytes.subarray(0, magic.length).equals(magic) ? unframe(bytes) : uncompress(bytes)),
})
register(CompressionTypes.LZ4, {
  compress: (bytes) => compressFrame(bytes),
  decompress: (bytes) => decompressFrame(bytes),
})
register(CompressionTypes.ZSTD, { compress: promisify(zstdCompress), decompress: promisify(zstdDecompress) })
