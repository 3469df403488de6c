/**
 * A replication slot's stream over postgres.js: what the server sends, and how far it may forget. Nothing is confirmed that was not
 * asked to be: an unconfirmed change comes again.
 */
import type { Duplex } from 'node:stream'
import { connect } from '../../platform/postgres.ts'

/**
 * `data`: a pgoutput message, `lsn` where it stands in the log. `idle`: all that commits before `lsn` has been sent; `asks`: the server wants
 * to hear how far it is safe, since it has not for long, or is shutting down and waits for that.
 */
export type Sent =
  | { readonly kind: 'data'; readonly lsn: bigint; readonly bytes: Buffer }
  | { readonly kind: 'idle'; readonly lsn: bigint; readonly asks: boolean }

export type Replication = {
  /** What has come since the last call, at least one; waits for it. Rejects when the stream is over. */
  next(): Promise<readonly Sent[]>
  /** All before this is safe elsewhere. */
  confirm(lsn: bigint): void
  /** Asks for an `idle` now. */
  ask(): void
  close(): Promise<void>
}

/** Bytes that wait here before the server is held back. */
const mostWaiting = 8 * 1024 * 1024
/** The server ends a stream that is silent for so long: its process may stand still, and the slot is wanted elsewhere. */
const senderTimeout = '20s'
const beatMs = 5_000
/** It answers within a round trip; a connection that was cut without a word never does. */
const silentMs = 30_000

const lsnText = (lsn: bigint): string =>
  `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`
export const lsnOf = (text: string): bigint => {
  const [high = '', low = ''] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}

/** A connection that speaks the replication protocol: simple statements only. */
export const walSender = (url: string, name: string) =>
  connect(url, { max: 1, name, settings: { replication: 'database', wal_sender_timeout: senderTimeout } })

export const openReplication = async (
  url: string,
  name: string,
  { slot, publication, from }: { readonly slot: string; readonly publication: string; readonly from: bigint },
): Promise<Replication> => {
  const sql = walSender(url, name)
  let stream: Duplex
  try {
    const start = `START_REPLICATION SLOT "${slot}" LOGICAL ${lsnText(from)} (proto_version '1', publication_names '"${publication}"')`
    stream = (await sql.unsafe(start).writable()) as Duplex
  } catch (error) {
    await sql.end({ timeout: 0 }).catch(() => {})
    throw error
  }
  let waiting: Sent[] = []
  let bytes = 0
  let over: Error | undefined
  let arrived = Promise.withResolvers<void>()
  let heard = performance.now()
  let confirmed = from

  const end = (error: Error): void => {
    over ??= error
    arrived.resolve()
  }
  stream.on('data', (chunk: Buffer) => {
    heard = performance.now()
    if (chunk[0] === 0x77) {
      waiting.push({ kind: 'data', lsn: chunk.readBigInt64BE(1), bytes: chunk.subarray(25) })
      bytes += chunk.length
      if (bytes > mostWaiting) stream.pause()
    } else if (chunk[0] === 0x6b) {
      const asks = chunk[17] === 1
      waiting.push({ kind: 'idle', lsn: chunk.readBigInt64BE(1), asks })
      if (asks) status(false)
    }
    arrived.resolve()
  })
  stream.on('error', end)
  stream.on('close', () => end(new Error('the source has ended the replication stream')))

  const status = (answer: boolean): void => {
    if (over !== undefined) return
    const message = Buffer.alloc(34)
    message[0] = 0x72
    for (const place of [1, 9, 17]) message.writeBigInt64BE(confirmed, place)
    message.writeBigInt64BE((BigInt(Date.now()) - 946_684_800_000n) * 1_000n, 25)
    message[33] = answer ? 1 : 0
    try {
      stream.write(message)
    } catch (error) {
      end(error instanceof Error ? error : new Error(String(error)))
    }
  }
  const beat = setInterval(() => {
    if (performance.now() - heard > silentMs && !stream.isPaused())
      end(new Error(`the source has not answered for ${silentMs / 1_000} s`))
    else status(true)
  }, beatMs)

  return {
    async next() {
      while (waiting.length === 0) {
        if (over !== undefined) throw over
        await arrived.promise
        arrived = Promise.withResolvers()
      }
      const taken = waiting
      waiting = []
      bytes = 0
      stream.resume()
      return taken
    },
    confirm(lsn) {
      if (lsn <= confirmed) return
      confirmed = lsn
      status(false)
    },
    ask: () => status(true),
    async close() {
      clearInterval(beat)
      end(new Error('the replication stream was closed'))
      stream.destroy()
      await sql.end({ timeout: 0 }).catch(() => {})
    },
  }
}
