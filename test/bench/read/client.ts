/**
 * The load: raw sockets, one request under way on each, requests made ready beforehand, so that it takes as little of the two cores as can
 * be. Started as a process of its own with a Job on its standard input; writes a Result. Without a rate each connection asks again when it has its
 * answer; with one requests are due at even times and are timed from when they were due, whether a connection was free or not.
 */
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'

export type Job = {
  readonly port: number
  readonly connections: number
  readonly seconds: number
  /** Requests a second. */
  readonly rate?: number
  /** Stops after so many. */
  readonly most?: number
  /** Whole requests as they are sent; `expect`: what stands in the answer. */
  readonly requests: readonly { readonly text: string; readonly expect: string }[]
  /** Which of them to send, over and over. */
  readonly order: readonly number[]
}
export type Result = {
  readonly requests: number
  readonly seconds: number
  /** Not answered with 200. */
  readonly failed: number
  /** Of those looked into (one in 16), without what was expected, or with errors. */
  readonly wrong: number
  readonly looked: number
  readonly bytes: number
  /** Milliseconds, rising: every hundredth part, then p99.9. */
  readonly latencies: readonly number[]
  /** An answer that was wrong or failed. */
  readonly example?: string
}

const lookEvery = 16

const run = async (job: Job): Promise<Result> => {
  const ready = job.requests.map((one) => ({ bytes: Buffer.from(one.text), expect: one.expect }))
  const latencies: number[] = []
  let [turn, begun, failed, wrong, looked, bytes] = [0, 0, 0, 0, 0, 0]
  let example: string | undefined
  const began = performance.now()
  const until = began + job.seconds * 1_000
  const most = job.most ?? Number.POSITIVE_INFINITY
  const over = (): boolean => performance.now() >= until || begun >= most

  type Lane = { socket: Socket; at: number; expect: string; parts: Buffer[]; size: number; need: number }
  const idle: Lane[] = []
  const due: number[] = []
  let done: () => void = () => {}
  const finished = new Promise<void>((resolve) => {
    done = resolve
  })
  let open = 0
  const end = (lane: Lane): void => {
    lane.socket.destroy()
    open -= 1
    if (open === 0) done()
  }
  const send = (lane: Lane, at: number): void => {
    const { bytes: request, expect } = ready[job.order[turn % job.order.length]!]!
    turn += 1
    begun += 1
    Object.assign(lane, { at, expect, parts: [], size: 0, need: -1 })
    lane.socket.write(request)
  }
  const answered = (lane: Lane): void => {
    const { at, parts, size, expect } = lane
    latencies.push(performance.now() - at)
    bytes += size
    const head = parts[0]!
    const ok = head[9] === 0x32 && head[10] === 0x30 && head[11] === 0x30
    if (!ok) failed += 1
    const look = latencies.length % lookEvery === 0
    if (!ok || look) {
      const answer = Buffer.concat(parts).toString()
      if (look) looked += 1
      const good = answer.includes(expect) && !answer.includes('"errors"')
      if (look && !good) wrong += 1
      if (!ok || !good) example ??= answer.slice(0, 2_000)
    }
    if (job.rate === undefined) {
      if (over()) end(lane)
      else send(lane, performance.now())
      return
    }
    const next = due.shift()
    if (next !== undefined) send(lane, next)
    else if (over()) end(lane)
    else idle.push(lane)
  }
  const take = (lane: Lane, chunk: Buffer): void => {
    lane.parts.push(chunk)
    lane.size += chunk.length
    if (lane.need < 0) {
      const so = lane.parts.length === 1 ? chunk : Buffer.concat(lane.parts)
      const at = so.indexOf('\r\n\r\n')
      if (at < 0) return
      const length = /\r\ncontent-length: *(\d+)/i.exec(so.toString('latin1', 0, at + 2))
      lane.need = length ? at + 4 + Number(length[1]) : 0
    }
    // Without a length it comes in chunks, of which the last is empty.
    if (lane.need > 0 ? lane.size >= lane.need : chunk.subarray(-5).equals(lastChunk)) answered(lane)
  }
  await Promise.all(
    Array.from({ length: job.connections }, () => {
      const socket = connect({ host: '127.0.0.1', port: job.port, noDelay: true })
      const lane: Lane = { socket, at: 0, expect: '', parts: [], size: 0, need: -1 }
      socket.on('data', (chunk) => take(lane, chunk))
      socket.on('error', (error) => {
        failed += 1
        example ??= String(error)
        end(lane)
      })
      open += 1
      idle.push(lane)
      return new Promise<void>((connected) => socket.once('connect', () => connected()))
    }),
  )
  if (job.rate === undefined) for (const lane of idle.splice(0)) send(lane, performance.now())
  else {
    const { rate } = job
    const start = performance.now()
    let scheduled = 0
    const pace = setInterval(() => {
      const now = performance.now()
      while (start + (scheduled * 1_000) / rate <= now && !over()) {
        const at = start + (scheduled * 1_000) / rate
        scheduled += 1
        const lane = idle.pop()
        if (lane) send(lane, at)
        else due.push(at)
      }
      if (!over()) return
      clearInterval(pace)
      due.length = 0
      for (const lane of idle.splice(0)) end(lane)
    }, 1)
  }
  await finished
  latencies.sort((a, b) => a - b)
  const at = (share: number): number => latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))]!
  return {
    requests: latencies.length,
    seconds: (performance.now() - began) / 1_000,
    failed,
    wrong,
    looked,
    bytes,
    latencies: [...Array.from({ length: 100 }, (_, i) => at(i / 100)), at(0.999)],
    ...(example === undefined ? {} : { example }),
  }
}
const lastChunk = Buffer.from('0\r\n\r\n')

process.stdout.write(`${JSON.stringify(await run(JSON.parse(await text(process.stdin)) as Job))}\n`)
