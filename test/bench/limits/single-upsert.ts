/**
 * The limit of live: kafkajs's eachBatch, and one upsert a batch under the same version guard, committed before the next. No positions,
 * no views, no log. Says `ready` once it has joined; what was in the log before doesn't count.
 */
import kafkajs from 'kafkajs'
import { connect } from '../../../src/platform/postgres.ts'
import { type Table, tables } from '../changes.ts'
import { columns, namesOf } from '../expected.ts'

const [brokers, url] = process.argv.slice(2) as [string, string]
const sql = connect(url, { max: 4, name: 'limit' })
for (const table of tables)
  await sql.unsafe(`create table ${table} (${columns[table]}, lsn bigint, gone boolean, primary key (id))`)
const statement = (table: Table): string => {
  const names = `${namesOf(table)}, lsn, gone`
  const set = names
    .split(', ')
    .map((name) => `${name} = excluded.${name}`)
    .join(', ')
  return `insert into ${table} as t select ${names} from json_to_recordset($1::text::json) as x(${columns[table]}, lsn bigint, gone boolean) order by id
    on conflict (id) do update set ${set} where t.lsn < excluded.lsn`
}
const statements = new Map(tables.map((table) => [`bench.${table}`, statement(table)]))

type Row = Readonly<Record<string, string | null>>
const consumer = new kafkajs.Kafka({ brokers: brokers.split(','), logLevel: kafkajs.logLevel.NOTHING }).consumer({
  groupId: `limit-${process.pid}`,
  allowAutoTopicCreation: false,
  maxWaitTimeInMs: 5,
})
consumer.on(consumer.events.GROUP_JOIN, () => process.stdout.write('ready\n'))
await consumer.connect()
await consumer.subscribe({ topics: [...statements.keys()] })
await consumer.run({
  autoCommit: false,
  partitionsConsumedConcurrently: 16,
  eachBatch: async ({ batch }) => {
    const newest = new Map<string, object>()
    for (const { value } of batch.messages) {
      const { op, before, after, source } = JSON.parse(String(value)) as {
        op: string
        before: Row | null
        after: Row | null
        source: { lsn: number }
      }
      const row = (after ?? before)!
      const known = newest.get(row.id!) as { lsn: number } | undefined
      if ((known?.lsn ?? 0) < source.lsn) newest.set(row.id!, { ...row, lsn: source.lsn, gone: op === 'd' })
    }
    await sql.unsafe(statements.get(batch.topic)!, [JSON.stringify([...newest.values()])], { prepare: true })
  },
})
