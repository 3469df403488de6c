/**
 * Stands between a client and Postgres, counts the client's messages, and can cut every connection between any two of them: what
 * a crash looks like from the database. What was sent before the cut still reaches Postgres, as it would.
 */
import net from 'node:net'

export type CuttingProxy = {
  readonly url: string
  /** Messages that clients have sent, startup left out. `executes`: those that ran a statement. */
  counted(): { readonly messages: number; readonly executes: number }
  isCut(): boolean
  readonly whenCut: Promise<void>
  close(): Promise<void>
}

const EXECUTE = 'E'.charCodeAt(0)
const QUERY = 'Q'.charCodeAt(0)

/** `cutAfter`: so many messages go through, then nothing more does and nobody is let in. */
export const startCuttingProxy = async (
  databaseUrl: string,
  cutAfter = Number.POSITIVE_INFINITY,
): Promise<CuttingProxy> => {
  const target = new URL(databaseUrl)
  const sockets = new Set<net.Socket>()
  let messages = 0
  let executes = 0
  const cut = Promise.withResolvers<void>()
  let isCut = false

  const server = net.createServer((client) => {
    const upstream = net.connect({ host: target.hostname, port: Number(target.port) })
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        // Ends rather than resets, so that Postgres reads all that was sent.
        upstream.end()
      })
    }
    if (isCut) {
      client.destroy()
      return
    }
    let pending = Buffer.alloc(0)
    let started = false
    client.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk])
      for (
        let size = messageSize(pending, started);
        size > 0 && size <= pending.length;
        size = messageSize(pending, started)
      ) {
        if (isCut) return
        if (started && messages >= cutAfter) {
          isCut = true
          cut.resolve()
          for (const socket of sockets) if (socket.remotePort !== Number(target.port)) socket.destroy()
          return
        }
        const message = pending.subarray(0, size)
        if (started) {
          messages += 1
          if (message[0] === EXECUTE || message[0] === QUERY) executes += 1
        }
        started = true
        upstream.write(message)
        pending = pending.subarray(size)
      }
    })
    upstream.on('data', (chunk) => client.write(chunk))
  })
  return {
    ...(await standBefore(databaseUrl, server, sockets)),
    counted: () => ({ messages, executes }),
    isCut: () => isCut,
    whenCut: cut.promise,
  }
}

/** Listens in the database's stead: its own URL but for the place. `sockets`: those that are open. */
export const standBefore = async (
  databaseUrl: string,
  server: net.Server,
  sockets: ReadonlySet<net.Socket>,
): Promise<Pick<CuttingProxy, 'url' | 'close'>> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = new URL(databaseUrl)
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as net.AddressInfo).port)
  return {
    url: url.href,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

/** The length of the first message, 0 while it can't be told. The first of a connection has no type byte. */
export const messageSize = (bytes: Buffer, started: boolean): number => {
  if (!started) return bytes.length < 4 ? 0 : bytes.readInt32BE(0)
  return bytes.length < 5 ? 0 : 1 + bytes.readInt32BE(1)
}
