/** A request's body, bounded on the wire and once it is unpacked. */
import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate, type ZlibOptions, zstdDecompress } from 'node:zlib'
import { HttpError } from './http-problem.ts'

type Unpack = (packed: Buffer, options: ZlibOptions) => Promise<Buffer>
const unpackers: ReadonlyMap<string, Unpack> = new Map<string, Unpack>([
  ['gzip', promisify<Buffer, ZlibOptions, Buffer>(gunzip)],
  ['x-gzip', promisify<Buffer, ZlibOptions, Buffer>(gunzip)],
  ['deflate', promisify<Buffer, ZlibOptions, Buffer>(inflate)],
  ['br', promisify(brotliDecompress) as Unpack],
  ['zstd', promisify(zstdDecompress) as unknown as Unpack],
])
const taken = 'gzip, deflate, br, zstd'

/** Throws HttpError 413 beyond `limit` bytes, packed or unpacked, 415 for another Content-Encoding, 400 for one that it isn't. */
export const readBody = async (request: IncomingMessage, limit: number): Promise<Buffer> => {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase()
  const unpack =
    encoding === undefined || encoding === 'identity' || encoding === '' ? undefined : unpackers.get(encoding)
  if (unpack === undefined && encoding !== undefined && encoding !== 'identity' && encoding !== '') {
    throw new HttpError(
      415,
      {
        title: 'Unsupported encoding',
        detail: `Send the body in one of ${taken}, or without Content-Encoding.`,
      },
      { 'Accept-Encoding': taken },
    )
  }
  const bytes = await collect(request, limit)
  if (unpack === undefined) return bytes
  try {
    return await unpack(bytes, { maxOutputLength: limit })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limit)
    throw new HttpError(400, {
      title: 'Malformed encoding',
      detail: `The body is not ${encoding}, as Content-Encoding says.`,
    })
  }
}

const tooLarge = (limit: number): HttpError =>
  new HttpError(413, { title: 'Body too large', detail: `At most ${limit} bytes are taken, unpacked.` })

const collect = (request: IncomingMessage, limit: number): Promise<Buffer> => {
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge(limit)
  return new Promise((done, refuse) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= limit) chunks.push(chunk)
      else refuse(tooLarge(limit))
    })
    request.once('end', () => done(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    request.once('error', refuse)
    request.once('close', () => {
      if (!request.complete) refuse(new Error('the caller went away'))
    })
  })
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
/** Throws HttpError 400 where it isn't UTF-8 or JSON. */
export const parseJson = (bytes: Buffer): unknown => {
  try {
    return JSON.parse(utf8.decode(bytes))
  } catch {
    const what = bytes.length === 0 ? 'The body is empty; send JSON.' : 'The body is not JSON in UTF-8.'
    throw new HttpError(400, { title: 'Malformed JSON', detail: what })
  }
}
