/** Flink SQL in one process: the view of `flink.sql` from the bench's topics into a table, until the ends that they had at the start. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Child, startChild } from '../../support/child.ts'
import { classPath, fastJvm, installJava } from '../../support/jars.ts'
import type { Database } from '../stand.ts'

export type Flink = { readonly child: Child; stop(): Promise<void> }
/** Which record of a key counts: the last that comes, or the one of the highest lsn. */
export type Order = 'seen' | 'lsn'

export const startFlink = async (brokers: readonly string[], { sql, url }: Database, order: Order): Promise<Flink> => {
  const local = (await classPath('flink')) ?? ((await installJava()) ? await classPath('flink') : undefined)
  if (local === undefined) throw new Error("Flink can't be started: install Java 17 and Maven.")
  await sql.unsafe(`create table public.customer_overview (id text primary key, email text, full_name text, tier text, note text,
    order_count bigint, spent numeric, last_order_at text, recent_orders text)`)
  const folder = await mkdtemp(join(tmpdir(), 'forebay-flink-'))
  const script = join(folder, 'view.sql')
  const given = await readFile(join(import.meta.dirname, 'flink.sql'), 'utf8')
  const { hostname, port, pathname, username, password } = new URL(url)
  const values: Readonly<Record<string, string>> = {
    checkpoints: `file://${folder}/checkpoints`,
    kafka: `'properties.bootstrap.servers' = '${brokers.join()}', 'properties.group.id' = 'flink', 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json'`,
    url: `jdbc:postgresql://${hostname}:${port}${pathname}?reWriteBatchedInserts=true`,
    username,
    password: decodeURIComponent(password),
    order: order === 'lsn' ? '`source`.lsn' : 'seen',
  }
  await writeFile(
    script,
    given.replaceAll(/@(\w+)@/g, (_, name: string) => values[name]!),
  )
  const conf = join(folder, 'conf')
  await mkdir(conf)
  await writeFile(join(conf, 'config.yaml'), 'taskmanager.numberOfTaskSlots: 2\ntaskmanager.memory.network.max: 256m\n')
  const flags = [...opened, ...(await fastJvm(local.jars, '3g', folder))]
  const child = startChild(
    local.java,
    [...flags, 'org.apache.flink.table.client.SqlClient', 'embedded', '-f', script, '-hist', join(folder, 'history')],
    {
      env: { FLINK_CONF_DIR: conf },
    },
  )
  return { child, stop: () => child.kill9().then(() => rm(folder, { recursive: true, force: true })) }
}

/** What its serialisers reach into. */
const opened = [
  'java.net',
  'java.io',
  'java.nio',
  'java.lang',
  'java.lang.invoke',
  'java.text',
  'java.time',
  'java.util',
  'java.util.concurrent',
  'java.util.concurrent.atomic',
  'java.util.concurrent.locks',
].map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`)
