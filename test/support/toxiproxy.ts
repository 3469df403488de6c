/** Toxiproxy: a proxy that makes a network fail in the ways networks do. Built once by Go, into ~/.cache/forebay (XDG_CACHE_HOME). */
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { freePorts, ready, startChild } from './child.ts'
import { found, installDebian, onPath, run } from './find.ts'

/** The last one that Debian's own Go (1.19) builds. */
const version = 'v2.7.0'

/** A fault of one direction, and what it takes: see Toxiproxy's README. */
export type Toxic =
  | { readonly type: 'latency'; readonly attributes: { readonly latency: number; readonly jitter: number } }
  | { readonly type: 'reset_peer' | 'timeout'; readonly attributes: { readonly timeout: number } }
  | { readonly type: 'limit_data'; readonly attributes: { readonly bytes: number } }
  | {
      readonly type: 'slicer'
      readonly attributes: { readonly average_size: number; readonly size_variation: number; readonly delay: number }
    }

export type Toxiproxy = {
  /** Where the target is reached through it. */
  readonly port: number
  /** Until the answer is called, connections old and new have this fault. */
  add(toxic: Toxic, stream: 'upstream' | 'downstream'): Promise<() => Promise<void>>
  /** Cuts every connection and refuses others, until the answer is called. */
  cut(): Promise<() => Promise<void>>
  stop(): Promise<void>
}

/** In front of a port of 127.0.0.1. Fails when it can't be built, saying what to install. `beforeAll(buildToxiproxy, BUILD_MS)` first. */
export const startToxiproxy = async (target: number): Promise<Toxiproxy> => {
  const binary = await buildToxiproxy()
  const [api, port] = (await freePorts(2)) as [number, number]
  const child = startChild(binary, ['-host', '127.0.0.1', '-port', String(api)])
  const ask = async (method: string, path: string, body?: object): Promise<void> => {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) }
    const response = await fetch(`http://127.0.0.1:${api}${path}`, init)
    if (!response.ok) throw new Error(`Toxiproxy: ${method} ${path}: ${response.status} ${await response.text()}`)
  }
  await ready('Toxiproxy', child, () => ask('GET', '/version'))
  const proxy = { name: 'it', listen: `127.0.0.1:${port}`, upstream: `127.0.0.1:${target}` }
  await ask('POST', '/proxies', { ...proxy, enabled: true })
  let toxics = 0
  return {
    port,
    async add(toxic, stream) {
      const name = `${toxic.type}${++toxics}`
      await ask('POST', '/proxies/it/toxics', { ...toxic, name, stream, toxicity: 1 })
      return () => ask('DELETE', `/proxies/it/toxics/${name}`)
    },
    async cut() {
      await ask('POST', '/proxies/it', { ...proxy, enabled: false })
      return () => ask('POST', '/proxies/it', { ...proxy, enabled: true })
    },
    stop: () => child.stop(),
  }
}

/** On a machine where Go has built nothing yet it takes a minute or more, which is no test's own. */
export const BUILD_MS = 660_000
export const buildToxiproxy = async (): Promise<string> => {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'forebay')
  const binary = join(cache, `toxiproxy-${version}`)
  if (await exists(binary)) return binary
  const go = (await findGo()) ?? ((await installDebian(['golang-go'])) ? await findGo() : undefined)
  if (go === undefined) throw new Error("Toxiproxy can't be built: install Go 1.19 or later (golang-go in Debian).")
  await mkdir(cache, { recursive: true })
  const partial = await mkdtemp(`${binary}.partial-`)
  const env = { ...process.env, GOBIN: partial, GOFLAGS: '-modcacherw' }
  await run(go, ['install', `github.com/Shopify/toxiproxy/v2/cmd/server@${version}`], {
    env,
    timeout: BUILD_MS - 60_000,
  })
  // Two runs may build at once: the last rename wins, both are equal.
  await rename(join(partial, 'server'), binary)
  await rm(partial, { recursive: true, force: true })
  found('Toxiproxy', `${version}, built by ${go}`)
  return binary
}

/** Go's own installer does not put it on PATH. */
const findGo = async (): Promise<string | undefined> => {
  const own = '/usr/local/go/bin/go'
  return (await onPath('go')) ?? ((await exists(own)) ? own : undefined)
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
