/**
 * What a run through real faults is judged by: a random history of a small shop as Debezium would send it, with duplicates and late
 * records; a note of every write to an entity's table, made in the write's own transaction; and the oracle of the laws.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { append, createTopics, type JournalRecord } from '../../src/ingest/source/journal.ts'
import type { Model } from '../../src/model/model.ts'
import { entityTable } from '../../src/model/names.ts'
import { installModel } from '../../src/operate/migrate/install.ts'
import type { Sql } from '../../src/platform/postgres.ts'
import { random } from '../bench/changes.ts'
import { type History, logOf, makeHistory } from '../law/change-arbitrary.ts'
import { debeziumRecords } from '../law/debezium.ts'
import { type Draw, drawFrom } from '../law/draw.ts'
import { loadModel } from '../law/model.ts'
import { seed } from '../law/runs.ts'
import { SHOP } from '../law/stage.ts'
import { expectViewsEqualQuery } from '../law/tables.ts'
import { makePlace, type Place } from '../support/forebay.ts'
import { later } from './fault-shop.ts'

/** The laws' shop, with decimals. */
const declaration = SHOP.replace(/type Stopper .*\n/, '')
  .replace('total: Int!', 'total: Decimal! @column(scale: 2)')
  .replace('spent: Long!', 'spent: Decimal!')
export const topics = ['customers', 'orders', 'lines'] as const
export type Sent = JournalRecord & { readonly topic: string; readonly partition: number }

export type Chaos = {
  readonly place: Place
  readonly model: Model
  readonly draw: Draw
  /** What connectors send, some of each topic in turn; those of one key in their order. */
  readonly records: readonly Sent[]
  readonly rows: History['rows']
  /** Makes the tables, the journal's topics and the notes of writes. */
  install(sql: Sql): Promise<void>
}

/** `writes`: of the source; the log has about a fifth more. FOREBAY_LAW_SEED repeats a run, whose seed is printed. */
export const makeChaos = async (writes: number, partitions = 4): Promise<Chaos> => {
  console.info(`FOREBAY_LAW_SEED=${seed}`)
  const chance = random(seed)
  const draw = drawFrom(Array.from({ length: writes * 60 }, () => Math.floor(chance() * 0x10000)))
  const model = await loadModel(declaration)
  const history = makeHistory(draw, model, writes, { calm: true })
  const log = logOf(
    draw,
    history.writes.flatMap((write) => debeziumRecords(write, partitions)),
  )
  const partitionLogs = [...log.values()].map((records) => [...records])
  const records: Sent[] = []
  for (let open = partitionLogs; open.length > 0; open = open.filter((rest) => rest.length > 0))
    for (const rest of open) records.push(...rest.splice(0, 5).map(sent))
  return {
    place: later(await makePlace(declaration), (made) => made.remove()),
    model,
    draw,
    records,
    rows: history.rows,
    install: async (sql) => {
      await installModel(sql, model)
      await createTopics(sql, topics)
      await noteWrites(sql, model)
    },
  }
}

const sent = ({ topic, partition, key, value }: Omit<Sent, 'headers'>): Sent => ({ topic, partition, key, value })

const noteWrites = async (sql: Sql, model: Model): Promise<void> => {
  await sql.unsafe(`
    create schema noted;
    create table noted.writes (entity text, partition int, "offset" bigint);
    create function noted.note() returns trigger language plpgsql as $$
    begin
      insert into noted.writes values (tg_table_name, new._partition, new._offset);
      return null;
    end $$`)
  for (const entity of model.entities.values())
    await sql.unsafe(
      `create trigger note after insert or update on ${entityTable(entity)} for each row execute function noted.note()`,
    )
}

/** Appends them, a few at a time, with `pace.ms` between, until all are there. A try that failed is made again, so some may come twice, as from any producer. */
export const appendAll = async (
  sql: Sql,
  records: readonly Sent[],
  pace: { readonly ms: number },
  some = 25,
): Promise<void> => {
  for (let start = 0; start < records.length; start += some) {
    const slice = [...Map.groupBy(records.slice(start, start + some), ({ topic }) => topic)].sort()
    for (;;) {
      try {
        await sql.begin(async (tx) => {
          for (const [topic, group] of slice) await append(tx, topic, group)
        })
        break
      } catch {
        await sleep(200)
      }
    }
    await sleep(pace.ms)
  }
}

type Left = { readonly records: number; readonly entries: number }
/** What is still to do: records of the journal, and entries of the dirty log. */
export const left = async (sql: Sql): Promise<Left> => {
  const [row] = await sql<Left[]>`
    select (select coalesce(sum(e.next_offset - coalesce(p.next_offset, 0)), 0)::int
        from forebay.journal_ends e left join forebay.positions p using (topic, partition)) as records,
      (select count(*)::int from forebay.dirty) as entries`
  return row!
}

/** Waits until all is applied and in the views, and compares. No record was applied twice, and none is in quarantine. */
export const expectEnd = async (sql: Sql, { model, rows }: Chaos, timeout = 60_000): Promise<void> => {
  await expect.poll(() => left(sql), { timeout, interval: 100 }).toEqual({ records: 0, entries: 0 })
  await expectRight(sql, { model, rows })
  expect(await sql`select reason from forebay.quarantine limit 3`).toEqual([])
}
export const expectRight = async (sql: Sql, { model, rows }: Pick<Chaos, 'model' | 'rows'>): Promise<void> => {
  await expectViewsEqualQuery(sql, model, rows)
  const twice =
    await sql`select entity, partition, "offset" from noted.writes group by 1, 2, 3 having count(*) > 1 limit 3`
  expect(twice, 'applied twice').toEqual([])
}
