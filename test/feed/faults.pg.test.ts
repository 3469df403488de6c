/** A followed table, through what befalls servers, networks and processes. */
import { randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { until } from '../kafka/client.ts'
import { type OwnSource, startOwnSource } from '../support/source-postgres.ts'
import { BUILD_MS, buildToxiproxy, startToxiproxy } from '../support/toxiproxy.ts'
import {
  declare,
  type Engine,
  engine,
  expectNoDuplicates,
  later,
  type Source,
  sourceOn,
  startChild,
  startHere,
  untilEqual,
} from './world.ts'

beforeAll(buildToxiproxy, BUILD_MS)

const fill = `insert into items (id, n) select i, i from generate_series(1, 500) i;
  insert into lines (item_id, no, amount) select i, 1, i from generate_series(1, 100) i`

const follow = async (through: (url: string) => string = (url) => url) => {
  const server = later(await startOwnSource(), (made) => made.stop())
  const source = await sourceOn(server.url)
  const connection = `f${randomBytes(4).toString('hex')}`
  const own = await engine(declare('', connection), { [connection]: through(source.url) })
  await source.sql.unsafe(fill)
  return { server, source, own, connection }
}

/** Writes all along; what fails while the server is away is written by a later round. */
const startWriter = ({ sql }: Source, everyMs = 5) => {
  let writing = true
  const write = async (): Promise<void> => {
    for (let round = 0; writing; round++) {
      await sql
        .begin(async (tx) => {
          await tx`update items set n = n + 1, label = ${`r${round}`} where id % 25 = ${round % 25}`
          await tx`insert into items (id, n) values (${10_000 + round}, ${round})`
          await tx`delete from lines where item_id = ${round % 100}`
          await tx`insert into lines (item_id, no, amount) values (${round % 100}, ${round}, ${round})`
        })
        .catch(() => sleep(20))
      await sleep(everyMs)
    }
  }
  const running = write()
  return {
    async end() {
      writing = false
      await running
    },
  }
}
const appended = async ({ sql }: Engine): Promise<number> => {
  const [row] = await sql<{ n: number }[]>`select sum(next_offset)::int as n from forebay.journal_ends`
  return row!.n
}
const more = async (own: Engine, what: string): Promise<void> => {
  const before = await appended(own)
  await until(async () => (await appended(own)) > before + 20, what, 60_000)
}

/** Of the cluster's control file: shut down in order, not in the middle of its work. */
const wasShutDown = async ({ cluster }: OwnSource): Promise<boolean> => {
  const file = await open(join(cluster, 'global/pg_control'))
  const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 16)
  await file.close()
  return buffer.readInt32LE() === 1
}

test('law 4: the source is killed and started in mid-stream, the feed’s own session ended, and the source shut down in order', {
  timeout: 120_000,
}, async () => {
  const { server, source, own } = await follow()
  await startHere(own)
  await untilEqual(source, own)
  const writer = startWriter(source)
  for (let round = 0; round < 3; round++) {
    await more(own, 'the stream goes on')
    await server.kill()
    await server.start()
    await more(own, 'the stream goes on')
    await own.sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'forebay feed%'`
  }
  await more(own, 'the stream goes on')
  await writer.end()
  await untilEqual(source, own)
  await expectNoDuplicates(own)
  // Of other tables: nothing to bring, but a shutdown waits until all of the log is known to be safe.
  await source.sql`create table others as select i from generate_series(1, 1000) i`
  await server.shutdown()
  expect(await wasShutDown(server)).toBe(true)
  await server.start()
  await source.sql`update items set label = 'after' where id = 1`
  await untilEqual(source, own)
})

test('law 4: the connection to the source is slow, cut, reset and cut off amid its data', {
  timeout: 120_000,
}, async () => {
  const server = later(await startOwnSource(), (made) => made.stop())
  const proxy = later(await startToxiproxy(Number(new URL(server.url).port)), (made) => made.stop())
  const source = await sourceOn(server.url)
  const connection = `f${randomBytes(4).toString('hex')}`
  const url = new URL(source.url)
  url.port = String(proxy.port)
  const own = await engine(declare('', connection), { [connection]: url.href })
  await source.sql.unsafe(fill)
  await startHere(own)
  await untilEqual(source, own)
  const writer = startWriter(source)
  const faults = [
    () => proxy.add({ type: 'latency', attributes: { latency: 60, jitter: 30 } }, 'downstream'),
    () => proxy.cut(),
    () => proxy.add({ type: 'reset_peer', attributes: { timeout: 100 } }, 'downstream'),
    () => proxy.add({ type: 'limit_data', attributes: { bytes: 20_000 } }, 'downstream'),
    () => proxy.add({ type: 'slicer', attributes: { average_size: 20, size_variation: 10, delay: 5 } }, 'downstream'),
  ]
  for (const fault of faults) {
    const mend = await fault()
    await sleep(1_000)
    await mend()
    await more(own, 'the stream goes on')
  }
  await writer.end()
  await untilEqual(source, own)
  await expectNoDuplicates(own)
})

test('a process that stands still loses its feed to another, and doubles and loses nothing when it comes back', {
  timeout: 120_000,
}, async () => {
  const { source, own } = await follow()
  const zombie = await startChild(own)
  await untilEqual(source, own)
  // Slowly: until the frozen one's stream and session are ended, what is written only piles up.
  const writer = startWriter(source, 60)
  await more(own, 'the first process feeds')
  zombie.child.kill('SIGSTOP')
  await startChild(own)
  await sleep(1_000)
  await more(own, 'the second process feeds')
  zombie.child.kill('SIGCONT')
  await more(own, 'it goes on')
  await sleep(1_000)
  await writer.end()
  await untilEqual(source, own)
  await expectNoDuplicates(own)
})
