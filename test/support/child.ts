import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * A child process that dies with this one, however this one dies: a shell stands between and kills it when its standard
 * input closes, which the kernel does even after kill -9.
 */
export type Child = {
  readonly pid: number
  /** The last 64 KiB of what it wrote. */
  output(): string
  /** True until it ended, of itself or not. */
  alive(): boolean
  /** Resolves with its exit code when it has ended; null when it was killed. */
  readonly ended: Promise<number | null>
  /** SIGTERM, then SIGKILL after `graceMs`. */
  stop(graceMs?: number): Promise<void>
  /** SIGKILL at once, as a power cut would. */
  kill9(): Promise<void>
}

const keptOutput = 64 * 1024

const guard = `
exec 3<&0
"$@" 3<&- </dev/null &
child=$!
{ read -r _ <&3; kill -9 $child; } 2>/dev/null &
guard=$!
trap : TERM INT
wait $child
code=$?
while kill -0 $child 2>/dev/null; do wait $child; code=$?; done
kill $guard 2>/dev/null
exit $code`

export function startChild(
  command: string,
  args: readonly string[],
  options: { env?: Readonly<Record<string, string>>; cwd?: string } = {},
): Child {
  const child = spawn('/bin/sh', ['-c', guard, 'guard', command, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  const { pid } = child
  if (pid === undefined) throw new Error(`${command} can't be started: no process could be made`)
  let text = ''
  const keep = (chunk: Buffer): void => {
    text = (text + chunk.toString()).slice(-keptOutput)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const alive = (): boolean => child.exitCode === null && child.signalCode === null
  const signal = (name: NodeJS.Signals): void => {
    try {
      process.kill(-pid, name)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  const kill9 = async (): Promise<void> => {
    if (!alive()) return
    signal('SIGKILL')
    await ended
  }
  return {
    pid,
    output: () => text,
    alive,
    ended,
    kill9,
    async stop(graceMs = 10_000) {
      if (!alive()) return
      signal('SIGTERM')
      const waiting = new AbortController()
      await Promise.race([ended, sleep(graceMs, undefined, { signal: waiting.signal }).catch(() => undefined)])
      waiting.abort()
      await kill9()
    },
  }
}

/** Resolves when `probe` does; fails with the child's output when it ended or took longer than `timeoutMs`. */
export async function ready(
  name: string,
  child: Child,
  probe: () => Promise<unknown>,
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const failure = await probe().then(
      () => undefined,
      (error: unknown) => error,
    )
    if (failure === undefined) return
    if (!child.alive()) throw new Error(`${name} ended while starting:\n${child.output()}`, { cause: failure })
    if (Date.now() > deadline) {
      await child.kill9()
      throw new Error(`${name} wasn't ready within ${timeoutMs / 1000} s:\n${child.output()}`, { cause: failure })
    }
    await sleep(100)
  }
}

/**
 * Ports of 127.0.0.1 that nobody listens on. Below those that the system gives to connections by itself, since one of these may be taken by the time
 * that it is listened on.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = randomInt(20_000, 32_000)
    if (!ports.includes(port) && (await isFree(port))) ports.push(port)
  }
  return ports
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((tell) => {
    const server = createServer()
    server.once('error', () => tell(false))
    server.listen(port, '127.0.0.1', () => server.close(() => tell(true)))
  })
