/** Requests to go on by another protocol than HTTP. */
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'

export type Upgrade = {
  readonly path: string
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

const refused = (socket: Duplex, status: string): void => {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

/** Only to WebSockets, and of pages only to those of this host and of `origins`: a browser asks nobody before it opens one. */
export const acceptUpgrades = (server: Server, upgrades: readonly Upgrade[], origins: readonly string[]): void => {
  const isOwn = ({ headers: { origin, host } }: IncomingMessage): boolean =>
    origin === undefined ||
    origins.includes('*') ||
    origins.includes(origin) ||
    (URL.canParse(origin) && new URL(origin).host === host)
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    const path = request.url?.split('?', 1)[0]
    const upgrade = upgrades.find((one) => one.path === path)
    if (!upgrade || request.headers.upgrade?.toLowerCase() !== 'websocket') return refused(socket, '404 Not Found')
    if (!isOwn(request)) return refused(socket, '403 Forbidden')
    upgrade.handle(request, socket, head)
  })
}
