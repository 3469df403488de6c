/** Postgres 15, as a source may well be: Debian's, in a cluster of its own. */
import { chown, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from '../../src/platform/postgres.ts'
import { freePorts, ready, startChild } from './child.ts'
import { found, installDebian, run } from './find.ts'
import type { SourcePostgres } from './source-postgres.ts'

const bin = '/usr/lib/postgresql/15/bin'
const isThere = (): Promise<boolean> =>
  stat(join(bin, 'postgres')).then(
    () => true,
    () => false,
  )

/** Fails where it isn't on the machine and can't be installed. */
export const startPostgres15 = async (): Promise<SourcePostgres> => {
  if (!(await isThere()) && !((await installDebian(['postgresql-15'])) && (await isThere())))
    throw new Error('Postgres 15 is not on this machine: install postgresql-15.')
  const folder = await mkdtemp(join(tmpdir(), 'forebay-source-15-'))
  const as = await unprivileged(folder)
  const cluster = join(folder, 'postgres')
  const [port] = await freePorts(1)
  await as.run(join(bin, 'initdb'), ['-D', cluster, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N'])
  const settings = ['wal_level=logical', 'listen_addresses=127.0.0.1', `unix_socket_directories=`, `port=${port}`]
  const child = as.start(join(bin, 'postgres'), ['-D', cluster, ...settings.flatMap((one) => ['-c', one])])
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  await ready('Postgres 15', child, async () => {
    const sql = connect(url, { max: 1, name: 'test administration' })
    await sql`select`.finally(() => sql.end({ timeout: 1 }))
  })
  found('Postgres 15', bin)
  return {
    url,
    async stop() {
      await child.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Postgres refuses to run as root. */
const unprivileged = async (folder: string) => {
  if (process.getuid?.() !== 0) return { run, start: startChild }
  const [uid, gid] = await Promise.all(['-u', '-g'].map((flag) => run('id', [flag, 'postgres'])))
  const [user, group] = [uid!.stdout.trim(), gid!.stdout.trim()]
  await chown(folder, Number(user), Number(group))
  const wrap = (command: string, args: readonly string[]): [string, string[]] => [
    'setpriv',
    [`--reuid=${user}`, `--regid=${group}`, '--clear-groups', command, ...args],
  ]
  return {
    run: (command: string, args: readonly string[]) => run(...wrap(command, args)),
    start: (command: string, args: readonly string[]) => startChild(...wrap(command, args)),
  }
}
