/** A closed loop of requests over kept-alive connections: each sends its next when it has its answer. */
import { Agent, request } from 'node:http'

export type LoadResult = {
  readonly requests: number
  readonly seconds: number
  readonly latencies: readonly number[]
  readonly failed: number
}
export type Ask = () => {
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: string
  readonly good: (text: string) => boolean
}

export const load = async (port: number, connections: number, seconds: number, ask: Ask): Promise<LoadResult> => {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const latencies: number[] = []
  let failed = 0
  const began = performance.now()
  const until = began + seconds * 1000
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const { path, headers, body, good } = ask()
      const at = performance.now()
      const sent = request(
        {
          port,
          host: '127.0.0.1',
          path,
          method: 'POST',
          agent,
          headers: { ...headers, 'Content-Length': Buffer.byteLength(body) },
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('end', () => {
            latencies.push(performance.now() - at)
            if (response.statusCode !== 200 || !good(Buffer.concat(chunks).toString())) failed += 1
            resolve()
          })
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (performance.now() < until) await one()
    }),
  )
  agent.destroy()
  return { requests: latencies.length, seconds: (performance.now() - began) / 1000, latencies, failed }
}
