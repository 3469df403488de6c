/** Several `forebay ingest` over one Kafka and one Postgres, and a count of every row that any of them writes. */
import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { loadSchema } from '../../src/model/load.ts'
import { entityTable } from '../../src/model/names.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import type { Sql } from '../../src/platform/postgres.ts'
import { type Client, kafkaClient } from '../kafka/client.ts'
import { expectViewsEqualQuery } from '../law/tables.ts'
import { makePlace, type Running, startForebay } from '../support/forebay.ts'
import { series } from '../support/metrics.ts'
import { freshDatabase } from '../support/postgres.ts'

const declaration = (topic: string): string => `
extend enum Role { CLERK }
extend schema @domain(name: "shop", owner: "shop-team", source: { format: JSON, naming: AS_IS })
type Item @entity(domain: "shop", key: "id", shared: true, source: { topic: "${topic}" }) {
  id: ID!
  shelf: ID!
}
type Shelf @entity(domain: "shop", key: "id", shared: true, source: { topic: "${topic}-shelves" }) {
  id: ID!
  items: [Item!]! @join(to: "shelf")
}
type ShelfCount @view(of: "Shelf") @allow(roles: [CLERK]) { id: ID! items: Int! @count(of: "items") }
`
const shelves = 50

export type GroupShop = {
  readonly topic: string
  readonly partitions: number
  readonly sql: Sql
  readonly client: Client
  /** A member of the group as a process of its own; `user`: who it is to Postgres. */
  member(user?: string): Promise<Running>
  /** Sends so many new items to a partition; settles when the broker has acknowledged them. */
  send(partition: number, count: number): Promise<void>
  sent(): number
  /** Rows written, by who wrote them; every update would be an item that came twice. */
  written(): Promise<{ readonly rows: number; readonly updates: number; readonly by: Readonly<Record<string, number>> }>
  /** Until all that was sent is in the tables and the views; then compares. */
  expectWhole(): Promise<void>
  close(): Promise<void>
}

export const openGroupShop = async (brokers: readonly string[], partitions = 6, replicas = 1): Promise<GroupShop> => {
  const topic = `items-${randomUUID()}`
  const client = await kafkaClient([...brokers])
  const topics = [
    { topic, numPartitions: partitions, replicationFactor: replicas },
    { topic: `${topic}-shelves`, numPartitions: 1, replicationFactor: replicas },
  ]
  await client.admin.createTopics({ topics, waitForLeaders: true })
  const place = await makePlace(declaration(topic))
  const loaded = await loadSchema(place.env.FOREBAY_SCHEMA!)
  if (!loaded.ok) throw new Error('the schema has faults')
  const { model } = loaded
  const database = await freshDatabase()
  const { sql } = database
  await installModel(sql, model)
  const table = entityTable(model.entities.get('Item')!)
  await sql.unsafe(`
    create table written (id text not null, op text not null, who text not null);
    create function note() returns trigger language plpgsql as $$ begin
      insert into written values (new.id, tg_op, session_user);
      return new;
    end $$;
    create trigger note after insert or update on ${table} for each row execute function note()`)
  const ends: (() => Promise<unknown>)[] = [
    () => place.remove(),
    () => client.close(),
    () => client.admin.deleteTopics({ topics: topics.map(({ topic }) => topic) }).catch(() => {}),
  ]
  const roles: string[] = []
  const shelfRows = Array.from({ length: shelves }, (_, i) => ({ value: JSON.stringify({ id: `s${i}` }) }))
  await client.producer.send({ topic: `${topic}-shelves`, messages: shelfRows, acks: -1 })
  let sent = 0
  const name = (n: number) => ({ id: `i${n}`, shelf: `s${n % shelves}` })
  return {
    topic,
    partitions,
    sql,
    client,
    async member(user) {
      const url = new URL(database.url)
      if (user !== undefined) {
        const role = `${user}_${randomUUID().replaceAll('-', '')}`
        await sql.unsafe(`create role ${role} superuser login password 'x'`)
        roles.push(role)
        url.username = role
        url.password = 'x'
      }
      const env = { ...place.env, DATABASE_URL: url.href, KAFKA_BROKERS: brokers.join(','), KAFKA_GROUP: topic }
      const running = await startForebay({ dataDir: place.dataDir, env }, 'ingest')
      ends.push(() => running.child.kill9())
      return running
    },
    async send(partition, count) {
      const messages = Array.from({ length: count }, (_, i) => {
        const item = name(sent + i)
        return { key: item.id, value: JSON.stringify(item), partition }
      })
      sent += count
      await client.producer.send({ topic, messages, acks: -1 })
    },
    sent: () => sent,
    async written() {
      const rows = await sql<{ who: string; rows: number; updates: number }[]>`
        select who, count(*)::int as rows, count(*) filter (where op = 'UPDATE')::int as updates from written group by who`
      const sum = (of: 'rows' | 'updates') => rows.reduce((total, row) => total + row[of], 0)
      const by = Object.fromEntries(rows.map((row) => [row.who.replace(/_.*/, ''), row.rows]))
      return { rows: sum('rows'), updates: sum('updates'), by }
    },
    async expectWhole() {
      const state = async () => {
        const [row] = await sql<{ next: number; dirty: number; stopped: string | null }[]>`
          select (select sum(next_offset)::int from forebay.positions where topic = ${topic}) as next,
            (select count(*)::int from forebay.dirty) as dirty,
            (select string_agg(reason, '; ') from forebay.positions where state <> 'RUNNING') as stopped`
        return row
      }
      await expect.poll(state, { timeout: 60_000, interval: 200 }).toEqual({ next: sent, dirty: 0, stopped: null })
      const items = new Map(Array.from({ length: sent }, (_, n) => [`i${n}`, name(n)]))
      const shelfMap = new Map(Array.from({ length: shelves }, (_, i) => [`s${i}`, { id: `s${i}` }]))
      await expectViewsEqualQuery(
        sql,
        model,
        new Map<string, ReadonlyMap<string, Record<string, string>>>([
          ['Item', items],
          ['Shelf', shelfMap],
        ]),
      )
    },
    async close() {
      for (const end of ends.reverse()) await end()
      const owners = roles.map((role) => `drop owned by ${role}; drop role ${role}`)
      for (const statement of owners) await sql.unsafe(statement).catch(() => {})
      await database.drop()
    },
  }
}

/** A member's counter of /metrics, all labels together. */
export const counted = async (member: Running, name: string): Promise<number> =>
  [...(await series(member.url, name)).values()].reduce((total, value) => total + value, 0)
