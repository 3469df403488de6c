/** Servers asked in turns, A B A B, so that whatever else the machine does falls on all of them; what each used meanwhile. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { cpuSeconds, familyCpuSeconds } from '../process.ts'
import type { Figure } from '../report.ts'
import type { Job, Result } from './client.ts'
import type { Server } from './servers.ts'

export const load = async (job: Job): Promise<Result> => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'client.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdin.end(JSON.stringify(job))
  return (await json(child.stdout)) as Result
}

export type Asked = { readonly server: Server; readonly job: Omit<Job, 'port' | 'seconds'> }
export type Total = {
  readonly name: string
  readonly requests: number
  readonly rate: number
  /** Of its process and of Postgres, microseconds a request. */
  readonly cpu: number
  readonly postgres: number
  /** The median of the rounds'. */
  readonly p50: number
  readonly p99: number
  readonly faults: number
}
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!

/** Throws where answers were wrong: their speed says nothing. */
export const inTurns = async (
  asked: readonly Asked[],
  { rounds, seconds, postgres }: { readonly rounds: number; readonly seconds: number; readonly postgres: number },
): Promise<readonly Total[]> => {
  type Round = { readonly result: Result; readonly cpu: number; readonly postgres: number }
  const all = new Map<Asked, Round[]>(asked.map((one) => [one, []]))
  for (const { server, job } of asked) check(server, await load({ ...job, port: server.port, seconds: 2 }))
  for (let round = 0; round < rounds; round++)
    for (const one of asked) {
      const { server, job } = one
      const [own, theirs] = [await cpuSeconds(server.pid), await familyCpuSeconds(postgres)]
      const result = await load({ ...job, port: server.port, seconds })
      check(server, result)
      const used = [(await cpuSeconds(server.pid)) - own, (await familyCpuSeconds(postgres)) - theirs] as const
      all.get(one)!.push({ result, cpu: used[0], postgres: used[1] })
    }
  return asked.map((one) => {
    const rounds = all.get(one)!
    const sum = (of: (round: Round) => number): number => rounds.reduce((total, round) => total + of(round), 0)
    const requests = sum(({ result }) => result.requests)
    return {
      name: one.server.name,
      requests,
      rate: requests / sum(({ result }) => result.seconds),
      cpu: (sum(({ cpu }) => cpu) / requests) * 1e6,
      postgres: (sum(({ postgres }) => postgres) / requests) * 1e6,
      p50: median(rounds.map(({ result }) => result.latencies[50]!)),
      p99: median(rounds.map(({ result }) => result.latencies[99]!)),
      faults: sum(({ result }) => result.failed + result.wrong),
    }
  })
}

const check = ({ name }: Server, { requests, failed, wrong, example }: Result): void => {
  if (requests === 0 || failed + wrong > requests * 0.001)
    throw new Error(`${name}: of ${requests} answers ${failed} failed and ${wrong} were wrong:\n${example}`)
}

export const figuresOf = (what: string, totals: readonly Total[]): readonly Figure[] =>
  totals.flatMap(({ name, rate, cpu, postgres, p50, p99, faults }) => [
    {
      name: `${what}: ${name}`,
      value: rate,
      unit: 'req/s',
      against: `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
    },
    {
      name: `${what}: ${name}, CPU a request`,
      value: cpu,
      unit: 'µs',
      against: `and ${postgres.toFixed(0)} µs of Postgres${faults > 0 ? `; ${faults} answers failed or were wrong` : ''}`,
    },
  ])
