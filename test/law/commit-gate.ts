/** Stands between a client and Postgres and, once closed, holds back the client's next COMMIT: all is written and read, and nobody sees it. */
import net from 'node:net'
import { messageSize, standBefore } from './cutting-proxy.ts'

export type CommitGate = {
  readonly url: string
  /** From here on. `reached`: a COMMIT waits. */
  shut(): { readonly reached: Promise<void>; open(): void }
  close(): Promise<void>
}

/** Of one connection: by its text, or by the name under which its text was prepared. */
const commitFinder = () => {
  const prepared = new Set<string>()
  return (message: Buffer): boolean => {
    const [first = '', second = ''] = message.subarray(5).toString('latin1').split('\0')
    switch (String.fromCharCode(message[0]!)) {
      case 'Q':
        return /^commit/i.test(first)
      case 'P':
        if (/^commit/i.test(second)) prepared.add(first)
        return false
      case 'B':
        return prepared.has(second)
      default:
        return false
    }
  }
}

export const startCommitGate = async (databaseUrl: string): Promise<CommitGate> => {
  const target = new URL(databaseUrl)
  const sockets = new Set<net.Socket>()
  let gate: { readonly opened: Promise<void>; reach(): void } | undefined
  const server = net.createServer((client) => {
    const upstream = net.connect({ host: target.hostname, port: Number(target.port) })
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        client.destroy()
        upstream.destroy()
      })
    }
    const isCommit = commitFinder()
    let pending = Buffer.alloc(0)
    let started = false
    let passed = Promise.resolve()
    client.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk])
      for (
        let size = messageSize(pending, started);
        size > 0 && size <= pending.length;
        size = messageSize(pending, started)
      ) {
        const message = pending.subarray(0, size)
        pending = pending.subarray(size)
        const held = started && isCommit(message) ? gate : undefined
        held?.reach()
        if (held) gate = undefined
        passed = Promise.all([passed, held?.opened]).then(() => {
          upstream.write(message)
        })
        started = true
      }
    })
    upstream.on('data', (chunk) => client.write(chunk))
  })
  return {
    ...(await standBefore(databaseUrl, server, sockets)),
    shut() {
      const reached = Promise.withResolvers<void>()
      const opened = Promise.withResolvers<void>()
      gate = { opened: opened.promise, reach: reached.resolve }
      return { reached: reached.promise, open: opened.resolve }
    },
  }
}
