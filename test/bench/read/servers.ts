/** Who is asked: the gateway beside its ingest, bare limits, and peers, each a process of its own over the same Postgres. */
import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Child, startChild } from '../../support/child.ts'
import { childOf } from '../process.ts'

const here = join(import.meta.dirname, '..')
const peers = join(here, 'peers')

export type Server = { readonly name: string; readonly port: number; readonly pid: number; readonly child: Child }

const portOf = async (child: Child, pattern: RegExp): Promise<number> => {
  for (;;) {
    const found = pattern.exec(child.output())
    if (found) return Number(found[1])
    if (!child.alive()) throw new Error(`ended before it listened:\n${child.output()}`)
    await sleep(50)
  }
}
const started = async (name: string, child: Child, pattern = /listening on (\d+)/): Promise<Server> => {
  const port = await portOf(child, pattern)
  return { name, port, pid: await childOf(child.pid), child }
}

export const startLimit = (name: string, script: string, args: readonly string[]): Promise<Server> =>
  started(name, startChild(process.execPath, [join(here, 'limits', script), ...args]))

/** By the lock in its own folder, once. */
const installPeers = async (): Promise<void> => {
  const there = await access(join(peers, 'node_modules/postgraphile')).then(
    () => true,
    () => false,
  )
  if (there) return
  process.stderr.write('installing the peers\n')
  await promisify(execFile)('npm', ['ci', '--no-audit', '--no-fund'], { cwd: peers })
}
export const startPeer = async (name: string, script: string, url: string): Promise<Server> => {
  await installPeers()
  return await started(
    name,
    startChild(process.execPath, [join(peers, script), url], { cwd: peers, env: { NODE_ENV: 'production' } }),
  )
}

const forebay = join(here, '../../bin/forebay')
export const startHalf = (half: 'gateway' | 'ingest', env: Readonly<Record<string, string>>): Promise<Server> =>
  started(half, startChild(forebay, [half], { env }), /http:\/\/[^:]+:(\d+)/)
