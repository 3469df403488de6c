/** A way to Postgres that can be broken and mended. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export type Way = {
  readonly url: string
  /** Cuts every connection and lets none in. */
  breakOff(): void
  /** Lets connections in and carries nothing. */
  hang(): void
  mend(): void
  close(): Promise<void>
}

export const startWay = async (databaseUrl: string): Promise<Way> => {
  const target = new URL(databaseUrl)
  const sockets = new Set<Socket>()
  let state: 'open' | 'broken' | 'hanging' = 'open'
  const server = createServer((client) => {
    sockets.add(client)
    client.on('error', () => {})
    if (state === 'broken') return void client.destroy()
    const upstream = connect({ host: target.hostname, port: Number(target.port) })
    sockets.add(upstream)
    upstream.on('error', () => {})
    client.on('data', (bytes) => state === 'open' && upstream.write(bytes))
    upstream.on('data', (bytes) => state === 'open' && client.write(bytes))
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const url = new URL(databaseUrl)
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as AddressInfo).port)
  const drop = (): void => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  return {
    url: url.href,
    breakOff: () => {
      state = 'broken'
      drop()
    },
    hang: () => {
      state = 'hanging'
    },
    mend: () => {
      state = 'open'
      drop()
    },
    close: () => {
      drop()
      return new Promise((done) => server.close(() => done()))
    },
  }
}
