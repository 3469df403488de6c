/**
 * A table that is polled along a watermark column.
 *
 * Each pass reads the rows from a little before the highest watermark on, since who commits late writes an older one. What it read before is
 * told by a hash of each row in forebay.polled_rows, so only differences become records. From time to time a sweep walks the whole table by
 * key: it finds what no watermark showed, and then asks for every key it knows whether it is still there. The first sweep is the snapshot.
 *
 * Order is that of reading: every page is a snapshot later than the last, and one process reads, so a later record is a later truth whatever the
 * watermark says. A watermark can go back (a clock set, a restore), the reading can't.
 */
import { createHash } from 'node:crypto'
import type { Poll, TableSource } from '../../model/model.ts'
import { ident, quote } from '../../model/names.ts'
import { connect, type Sql } from '../../platform/postgres.ts'
import type { Feed, FeedJournal, FeedRecord } from '../feed.ts'
import { envelope, keyJson, type Origin, rowJson } from './envelope.ts'
import { passes } from './passes.ts'
import { describeTable, type PgColumn, type PgTable, tableSql } from './postgres-table.ts'
import { textOfBytes } from './postgres-value.ts'

/**
 * `high`: the highest watermark read. `sweep`: the key after which the sweep goes on, `known` in its second half. `again`: the next sweep
 * brings every row, whether it differs or not. Times: ms since 1970.
 */
type Cursor = {
  readonly high: string | null
  readonly complete: boolean
  readonly sweptAt: number
  readonly sweep?: { readonly after: readonly string[] | null } | { readonly known: string }
  readonly again?: true
}
export type PollOptions = {
  readonly url: string
  readonly topic: string
  readonly table: TableSource & { readonly poll: Poll }
  readonly sql: Sql
  readonly pageRows?: number
}

export const pollFeed = ({ url, topic, table, sql, pageRows = 1_000 }: PollOptions): Feed => {
  const { poll } = table
  const turns = passes(poll.everyMs)
  let complete = false
  return {
    name: topic,
    topics: [topic],
    basis: 'LOG',
    async bound() {
      await turns.reached()
      return { topics: complete ? [topic] : [] }
    },
    async run(journal) {
      const source = connect(url, {
        max: 1,
        name: `poll of ${topic}`,
        settings: { default_transaction_read_only: 'on' },
      })
      try {
        const described = await describeTable(source, table, { generated: true })
        const reader = createReader({ source, sql, topic, table, described, pageRows, journal })
        let cursor = (journal.cursor as Cursor | null) ?? (await reader.first())
        complete = cursor.complete
        await turns.run(async () => {
          cursor = await reader.poll(cursor)
          const sweepDue = poll.sweepMs > 0 && Date.now() - cursor.sweptAt >= poll.sweepMs
          if (cursor.sweep === undefined && (sweepDue || cursor.again)) cursor = { ...cursor, sweep: { after: null } }
          // A sweep is many pages: it stops for the next poll, and once the first one is done leaves the source half of the time.
          const until = Date.now() + poll.everyMs
          while (cursor.sweep !== undefined && Date.now() < until && !journal.stop.aborted)
            cursor = await reader.sweep(cursor)
          complete = cursor.complete
          return complete
        }, journal.stop)
      } finally {
        complete = false
        await source.end({ timeout: 1 })
      }
    },
  }
}

type Row = { readonly cells: readonly (string | null)[]; readonly micros: bigint }
type Page = { readonly rows: readonly Row[]; readonly last: readonly string[] }

type ReaderOptions = {
  readonly source: Sql
  readonly sql: Sql
  readonly topic: string
  readonly table: TableSource & { readonly poll: Poll }
  readonly described: PgTable
  readonly pageRows: number
  readonly journal: FeedJournal
}

const createReader = (options: ReaderOptions) => {
  const { source, sql, topic, table, described, pageRows, journal } = options
  const { poll } = table
  const column = (name: string): PgColumn => {
    const found = described.columns.find((known) => known.name === name)
    if (found === undefined)
      throw new Error(
        `the source's table ${table.schema}.${table.name} has no column ${name}: mend \`watermark\` in the schema folder`,
      )
    return found
  }
  const watermark = column(poll.watermark)
  const keys = described.key.map(column)
  const timed = /^(timestamp|date)/.test(watermark.sqlType)
  const mark = ident(watermark.name)
  const from = tableSql(described)
  const list = described.columns.map(({ name }) => ident(name)).join(', ')
  // The event time: the watermark where it is an instant, else when the row was read.
  const micros =
    watermark.sqlType.startsWith('timestamp') && watermark.sqlType.includes('with time zone')
      ? mark
      : 'clock_timestamp()'
  const columns = `${list}, (extract(epoch from coalesce(${micros}, clock_timestamp())) * 1000000)::bigint`

  const read = async (
    condition: string,
    order: readonly PgColumn[],
    values: readonly (string | null)[],
  ): Promise<Page> => {
    const by = order.map(({ name }) => ident(name)).join(', ')
    const text = `select ${columns} from ${from} where ${condition} order by ${by} limit ${pageRows}`
    const raw = (await source.unsafe(text, [...values]).raw()) as unknown as (Buffer | null)[][]
    const rows = raw.map((row): Row => {
      const texts = row.map((bytes) => (bytes === null ? null : textOfBytes(bytes)))
      const cells = texts.slice(0, -1)
      return { cells, micros: BigInt(texts.at(-1)!) }
    })
    const last = rows.at(-1)
    return { rows, last: last ? order.map((one) => last.cells[described.columns.indexOf(one)]!) : [] }
  }
  const after = (order: readonly PgColumn[]): string =>
    `(${order.map(({ name }) => ident(name)).join(', ')}) > (${order.map(({ sqlType }, index) => `$${index + 1}::text::${sqlType}`).join(', ')})`

  /** The records that these rows come to, and what to remember of them: nothing for a row that is as it was, unless `all` are wanted. */
  const differences = async (rows: readonly Row[], op: 'r' | undefined, all: boolean) => {
    const found = new Map<string, { readonly row: Row; readonly after: string; readonly content: string }>()
    for (const row of rows) {
      const after = rowJson(described.columns, row.cells)
      const content = createHash('sha256').update(after).digest('hex')
      found.set(keyJson(described, row.cells), { row, after, content })
    }
    const known = await sql<{ key: string; content: string }[]>`
      select key, encode(content, 'hex') as content from forebay.polled_rows where topic = ${topic} and key = any(${[...found.keys()]})`
    const before = new Map(known.map(({ key, content }) => [key, content]))
    const changed = [...found].filter(([key, { content }]) => all || before.get(key) !== content)
    const records = changed.map(([key, { row, after }]): FeedRecord => {
      const origin: Origin = {
        connection: table.connection,
        table,
        micros: row.micros,
        snapshot: op ? 'true' : 'false',
      }
      const value = envelope(op ?? (before.has(key) ? 'u' : 'c'), null, after, origin)
      return { topic, key: Buffer.from(key), value }
    })
    const remembered = changed.map(([key, { content }]) => ({ key, content }))
    return { records, remembered }
  }
  let taken: Cursor | undefined
  const take = async (rows: readonly Row[], cursor: Cursor, op?: 'r', all = false): Promise<void> => {
    const { records, remembered } = await differences(rows, op, all)
    if (records.length === 0 && cursor === taken) return
    taken = cursor
    await journal.append(
      records,
      cursor,
      (tx) => tx`
        insert into forebay.polled_rows (topic, key, content)
        select ${topic}, r.key, decode(r.content, 'hex') from json_to_recordset(${JSON.stringify(remembered)}::text::json) as r (key text, content text)
        on conflict (topic, key) do update set content = excluded.content`,
    )
  }

  /** Not beyond the source's own clock: rows dated ahead must not hide those that come meanwhile. */
  const highest = async (): Promise<string | null> => {
    const cap = timed ? `least(max(${mark}), now()::${watermark.sqlType})` : `max(${mark})`
    const [row] = (await source.unsafe(`select ${cap}::text as high from ${from}`)) as unknown as {
      high: string | null
    }[]
    return row!.high
  }

  return {
    async first(): Promise<Cursor> {
      return { high: await highest(), complete: false, sweptAt: 0, sweep: { after: null } }
    },

    async poll(cursor: Cursor): Promise<Cursor> {
      const high = await highest()
      const order = [watermark, ...keys]
      const lower = timed
        ? `$1::text::${watermark.sqlType} - ${poll.overlapMs} * interval '1 millisecond'`
        : `$1::text::${watermark.sqlType}`
      let page =
        cursor.high === null
          ? await read(`${mark} is not null`, order, [])
          : await read(`${mark} >= ${lower}`, order, [cursor.high])
      for (;;) {
        await take(page.rows, cursor)
        if (page.rows.length < pageRows) break
        page = await read(after(order), order, page.last)
      }
      return { ...cursor, high: high ?? cursor.high }
    },

    /** One page of it. */
    async sweep(cursor: Cursor): Promise<Cursor> {
      const at = cursor.sweep!
      if ('after' in at) {
        const page = await (at.after === null ? read('true', keys, []) : read(after(keys), keys, at.after))
        const sweep = page.rows.length < pageRows ? { known: '' } : { after: page.last }
        const moved: Cursor = { ...cursor, sweep }
        await take(page.rows, moved, cursor.complete ? undefined : 'r', cursor.again)
        return moved
      }
      const known = await sql<{ key: string }[]>`
        select key from forebay.polled_rows where topic = ${topic} and key > ${at.known} order by key limit ${pageRows}`
      const parts = keys.map(({ name, sqlType }) => `t.${ident(name)} = ${keyValue(name, sqlType)}`)
      const gone = (await source.unsafe(
        `select k.n::int - 1 as n from unnest($1::text[]) with ordinality k(key, n) where not exists (select from ${from} t where ${parts.join(' and ')} offset 0)`,
        [known.map(({ key }) => key)],
      )) as unknown as { n: number }[]
      const keysGone = gone.map(({ n }) => known[n]!.key)
      const { sweep: _, again: __, ...rest } = cursor
      const moved: Cursor =
        known.length < pageRows
          ? { ...rest, complete: true, sweptAt: Date.now() }
          : { ...cursor, sweep: { known: known.at(-1)!.key } }
      const origin: Origin = {
        connection: table.connection,
        table,
        micros: BigInt(Date.now()) * 1_000n,
        snapshot: 'false',
      }
      const records = keysGone.map((key) => ({ topic, key: Buffer.from(key), value: envelope('d', key, null, origin) }))
      await journal.append(
        records,
        moved,
        (tx) => tx`delete from forebay.polled_rows where topic = ${topic} and key = any(${keysGone})`,
      )
      return moved
    },
  }
}

/** Read by Postgres, digit by digit. */
const keyValue = (name: string, sqlType: string): string => {
  const text = `k.key::json->>${quote(name)}`
  return sqlType === 'bytea' ? `decode(${text}, 'base64')` : `(${text})::${sqlType}`
}
