import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** The services that one test run starts once, when first asked for, and that every test file shares. */
export type SharedService = 'kafka' | 'redis'

const variable = 'FOREBAY_TEST_SERVICES'

/** Where the run's shared service is; undefined outside a vitest run (a benchmark, a script). Fails as its start does. */
export async function sharedService(name: SharedService): Promise<string | undefined> {
  const manager = process.env[variable]
  if (manager === undefined) return undefined
  const response = await fetch(`${manager}/${name}`)
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  return text
}

type Started = { readonly address: string; stop(): Promise<void> }

const starters: Record<SharedService, () => Promise<Started>> = {
  async kafka() {
    const { ownKafka } = await import('./kafka.ts')
    const { brokers, stop } = await ownKafka(4)
    return { address: brokers.join(','), stop }
  },
  async redis() {
    const { ownRedis } = await import('./redis.ts')
    const { url, stop } = await ownRedis()
    return { address: url, stop }
  },
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
    server.close()
    const all = await Promise.allSettled(started.values())
    await Promise.all(all.map((one) => (one.status === 'fulfilled' ? one.value.stop() : undefined)))
  }
}
