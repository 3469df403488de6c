import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ownKafka } from './kafka.ts'
import { ownRedis } from './redis.ts'
import { type SharedService, variable } from './services.ts'

type Started = { readonly address: string; stop(): Promise<void> }

const starters: Record<SharedService, () => Promise<Started>> = {
  kafka: () => ownKafka(4).then(({ brokers, stop }) => ({ address: brokers.join(','), stop })),
  redis: () => ownRedis().then(({ url, stop }) => ({ address: url, stop })),
}

/**
 * Vitest's global set-up. Test files run in processes that come and go, so the process that outlives them owns the
 * services and starts each when a test first asks for it.
 */
export default async function setup(): Promise<() => Promise<void>> {
  const started = new Map<string, Promise<Started>>()
  const server = createServer(async (request, response) => {
    const name = (request.url ?? '').slice(1)
    if (!Object.hasOwn(starters, name)) {
      response.writeHead(404).end(`No shared service is called ${name}.`)
      return
    }
    const service = started.get(name) ?? starters[name as SharedService]()
    started.set(name, service)
    await service.then(
      ({ address }) => response.end(address),
      (error: unknown) => response.writeHead(500).end(error instanceof Error ? error.message : String(error)),
    )
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  process.env[variable] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return async () => {
    server.closeAllConnections()
    server.close()
    const all = await Promise.allSettled(started.values())
    await Promise.all(all.map((one) => (one.status === 'fulfilled' ? one.value.stop() : undefined)))
  }
}
