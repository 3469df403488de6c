/** Forebay as an operator runs it: a process of its own, a folder of its own, and no variable that the test did not give. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { developmentToken, type TokenClaims } from '../../src/operate/token.ts'
import { type Child, startChild } from './child.ts'

const cli = join(import.meta.dirname, '../../src/cli.ts')

type Environment = Readonly<Record<string, string>>
export type Place = { readonly dataDir: string; readonly env: Environment; remove(): Promise<void> }

/** A schema folder with one file, and where data goes (`dataDir`: somewhere else). */
export const makePlace = async (sdl: string, dataDir?: string): Promise<Place> => {
  const folder = await mkdtemp(join(tmpdir(), 'forebay-place-'))
  const schema = join(folder, 'schema')
  await mkdir(schema)
  await writeFile(join(schema, 'shop.graphql'), sdl)
  const data = dataDir ?? join(folder, 'data')
  return {
    dataDir: data,
    env: { FOREBAY_SCHEMA: schema, FOREBAY_DATA: data, PORT: '0' },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

export type Running = {
  readonly child: Child
  readonly url: string
  /** GraphQL; the answer's status and body, or what kept it from being answered. */
  ask(query: string, asker: TokenClaims, headers?: Readonly<Record<string, string>>): Promise<Asked>
  /** POST /ingest/<topic>; the status, 0 where there was no answer. */
  post(topic: string, records: readonly unknown[]): Promise<{ readonly status: number; readonly text: string }>
  readyz(): Promise<{ readonly status: number; readonly text: string }>
}
type Asked = {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: an answer's shape is the test's own knowledge
  readonly body: any
}

export type Said = { readonly code: number; readonly out: string; readonly err: string }

/** Runs a command to its end, whatever that is. */
export const runForebay = (env: NodeJS.ProcessEnv, ...args: string[]): Promise<Said> =>
  new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], { env }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    )
  })

/** Starts a verb without waiting for anything. */
export const begin = (env: Environment, verb = 'start'): Child =>
  startChild(process.execPath, [cli, verb], { env: { ...env, VITEST: '' } })

/** Starts a verb and waits until it says where it listens. Fails with what it said when it ends before. */
export const startForebay = async (place: Pick<Place, 'env' | 'dataDir'>, verb = 'start'): Promise<Running> => {
  const child = begin(place.env, verb)
  const url = await listening(child)
  const call = (path: string, init: RequestInit = {}) =>
    fetch(`${url}${path}`, { ...init, signal: AbortSignal.timeout(20_000) }).then(
      async (response) => ({ status: response.status, text: await response.text() }),
      (error: unknown) => ({ status: 0, text: String(error) }),
    )
  const send = async (path: string, asker: TokenClaims, body: unknown, headers: Record<string, string> = {}) =>
    call(path, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${await developmentToken({ production: false, dataDir: place.dataDir }, asker)}`,
        ...headers,
      },
      body: JSON.stringify(body),
    })
  return {
    child,
    url,
    async ask(query, asker, headers) {
      const { status, text } = await send('/graphql', asker, { query }, headers)
      return { status, body: status === 0 ? text : JSON.parse(text) }
    },
    post: (topic, records) => send(`/ingest/${topic}`, { roles: ['OPERATOR'] }, records),
    readyz: () => call('/readyz'),
  }
}

const listening = async (child: Child): Promise<string> => {
  const deadline = Date.now() + 30_000
  for (;;) {
    const url = /(http:\S+)\/healthz/.exec(child.output())?.[1]
    if (url !== undefined) return url
    if (!child.alive()) throw new Error(`forebay ended while starting:\n${child.output()}`)
    if (Date.now() > deadline) throw new Error(`forebay did not start within 30 s:\n${child.output()}`)
    await sleep(50)
  }
}

/** Command lines of the processes that were started with this text in their arguments or their environment. */
export const processesOf = async (text: string): Promise<readonly string[]> => {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const read = (pid: string, file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')
  const all = await Promise.all(
    pids.map(async (pid) => ({ command: await read(pid, 'cmdline'), environment: await read(pid, 'environ') })),
  )
  return all
    .filter(({ command, environment }) => command.includes(text) || environment.includes(text))
    .map(({ command }) => command.replaceAll('\0', ' '))
}
