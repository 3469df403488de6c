/** What a real Debezium reads of the rows that were there before it: initial snapshots, incremental ones, broken ones. Facts 8 to 10. */
import { describe, expect, test } from 'vitest'
import type { LogRecord } from '../../src/ingest/change.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import { column, entity, model } from '../ingest/entities.ts'
import { sampleRecords } from '../ingest/samples.ts'
import { envelopeOf, ofKey, varied } from './captured.ts'
import { openWorld, type World } from './world.ts'

const SNAPROWS =
  'type Snaprow @entity(domain: "odd", key: "id", source: { topic: "odd.public.snaprows" }) { id: Int! v: String! }'
/** Seven of 2,500 rows, the first and the last among them. */
const initial = sampleRecords('debezium/public.snaprows.jsonl')
const incremental = sampleRecords('debezium/snapshot-incremental.jsonl')
const lsn = 197_961_784

const versions = (world: World) =>
  world.sql<{ id: number; version: string; tie: string }[]>`
    select id, _version as version, _tie as tie from odd.snaprow where not _deleted order by id`
const state = async (world: World) =>
  (await world.sql<{ state: string }[]>`select state from forebay.snapshots`)[0]?.state
/** A change that the stream sent of a row that the snapshot has read. */
const changed = (record: LogRecord, at: number, v: string): LogRecord =>
  varied(record, ({ after }) => ({
    op: 'u',
    after: { ...after, v },
    source: { snapshot: 'false', lsn: at, txId: 1500, sequence: `["${at}","${at}"]` },
  }))

describe('fact 8 reads of an initial snapshot', () => {
  test('fact 8 every marker there is; reads share one lsn and belong to no transaction; `first` may be missing', () => {
    const files = ['public.snaprows', 'public.types_t', 'public.evolve', 'snapshot-last', 'snapshot-incremental']
    const all = [...files.map((file) => `debezium/${file}.jsonl`), 'debezium-schema/public.types_t.jsonl'].flatMap(
      (file) =>
        sampleRecords(file).flatMap((record) => {
          const document = JSON.parse(String(record.value)) as { payload?: unknown }
          return [(document.payload ?? document) as NonNullable<ReturnType<typeof envelopeOf>>]
        }),
    )
    expect(new Set(all.map(({ source }) => source.snapshot))).toEqual(
      new Set(['first', 'first_in_data_collection', 'true', 'last_in_data_collection', 'last', 'incremental', 'false']),
    )
    const reads = initial.map((record) => envelopeOf(record)!)
    expect(new Set(reads.map(({ source }) => source.lsn))).toEqual(new Set([lsn]))
    expect(new Set(reads.map(({ transaction }) => transaction))).toEqual(new Set([null]))
    expect(reads.map(({ source }) => source.snapshot)).not.toContain('first')
  })

  test('fact 8 they lose against the stream, and once the last is in, rows that the table no longer had are taken away', async () => {
    const world = await openWorld(SNAPROWS)
    const [first] = initial as [LogRecord]
    const other = (id: number) => ({ ...changed(first, lsn - 50, 'before'), key: Buffer.from(JSON.stringify({ id })) })
    const before = [
      varied(other(9999), () => ({ after: { id: 9999, v: 'gone since' } })),
      changed(first, lsn - 50, 'before'),
    ]
    await world.deliver([...before, changed(initial[1]!, lsn + 50, 'later')])
    await world.deliver(initial.slice(0, -1))
    expect(await state(world)).toBe('READING')
    expect(await world.sweep()).toBe(0)
    await world.deliver(initial.slice(-1))
    expect(await state(world)).toBe('READ')
    expect(await world.sweep()).toBe(1)
    expect(await world.rows('Snaprow')).toEqual([
      { id: 1, v: 'row 1' },
      { id: 3, v: 'later' },
      { id: 9, v: 'row 9' },
      { id: 12, v: 'row 12' },
      { id: 24, v: 'row 24' },
      { id: 28, v: 'row 28' },
      { id: 2500, v: 'row 2500' },
    ])
    const read = (await versions(world)).filter(({ id }) => id !== 3)
    expect(new Set(read.map(({ version, tie }) => `${version} ${tie}`))).toEqual(new Set([`${lsn} 0`]))
  })

  for (const marker of ['last', 'last_in_data_collection'])
    test(`fact 8 \`${marker}\` ends the snapshot of its table`, async () => {
      const world = await openWorld(SNAPROWS)
      await world.deliver([...initial.slice(0, -1), varied(initial.at(-1)!, () => ({ source: { snapshot: marker } }))])
      expect(await state(world)).toBe('READ')
    })
})

describe('fact 9 an incremental read has no lsn: its place in the log is its order', () => {
  const [read] = initial.filter(ofKey({ id: 3 })) as [LogRecord]
  const [again] = incremental.filter(ofKey({ id: 3 })) as [LogRecord]

  test('fact 9 it wins over what came before it, the row keeps its version, and the stream goes on over it', async () => {
    expect(envelopeOf(again)!.source).toMatchObject({ lsn: null, txId: null, snapshot: 'incremental' })
    const world = await openWorld(SNAPROWS)
    await world.deliver([read, again])
    expect(await world.rows('Snaprow')).toEqual([{ id: 3, v: 'changed 3' }])
    expect([...(await versions(world))]).toEqual([{ id: 3, version: String(lsn), tie: '0' }])
    await world.deliver([changed(read, 213_000_000, 'streamed')])
    expect(await world.rows('Snaprow')).toEqual([{ id: 3, v: 'streamed' }])
    // Read once more, and what the stream had sent before comes again.
    const third = { ...again, value: Buffer.from(String(again.value).replace('changed 3', 'read again')) }
    await world.deliver([third])
    expect(await world.deliver([changed(read, 213_000_000, 'streamed')])).toMatchObject({ duplicate: 1 })
    expect(await world.rows('Snaprow')).toEqual([{ id: 3, v: 'read again' }])
  })

  test('fact 9 a row that only it has read, then changed and deleted by the stream', async () => {
    const world = await openWorld(SNAPROWS)
    await world.deliver([again])
    expect(await world.rows('Snaprow')).toEqual([{ id: 3, v: 'changed 3' }])
    await world.deliver([changed(read, 212_000_000, 'streamed')])
    expect(await world.rows('Snaprow')).toEqual([{ id: 3, v: 'streamed' }])
    await world.deliver([
      varied(changed(read, 212_000_100, ''), () => ({ op: 'd', before: { id: 3, v: null }, after: null })),
    ])
    expect(await world.rows('Snaprow')).toEqual([])
    expect(await world.sweep()).toBe(0)
  })

  test('fact 9 the signal table is a topic like any other: read by nobody, or as rows', async () => {
    const signals = sampleRecords('debezium/public.dbz_signal.jsonl')
    const probe = entity('Snaprow', ['id'], [column('id', 'Int!')], { topic: 'odd.public.snaprows' })
    const decoder = createDecoder(model([probe]))
    for (const signal of signals) expect(decoder.decode(signal, 0)).toEqual([])
    const world = await openWorld(
      'type Signal @entity(domain: "odd", key: "id", source: { topic: "odd.public.dbz_signal" }) { id: ID! type: String! }',
    )
    await world.deliver(signals)
    expect((await world.rows('Signal')).map(({ type }) => type)).toEqual(
      expect.arrayContaining(['snapshot-window-open', 'snapshot-window-close']),
    )
  })
})

test('fact 10 a snapshot that crashed begins anew: its reads count once, and only the whole one takes rows away', async () => {
  const world = await openWorld(SNAPROWS)
  const half = initial.slice(0, 4)
  await world.deliver(half)
  expect(await world.sweep()).toBe(0)
  // In between row 9 was deleted and row 1 changed, which no stream says.
  const second = initial
    .filter((record) => !ofKey({ id: 9 })(record))
    .map((record) =>
      varied(record, ({ after }) => ({
        after: after!.id === 1 ? { id: 1, v: 'meanwhile' } : after!,
        source: { lsn: lsn + 1_000 },
      })),
    )
  await world.deliver(second.slice(0, 3))
  expect(await world.sweep()).toBe(0)
  // What is still under way of the first is older, and none of it comes back.
  await world.deliver([...second.slice(3), ...half.slice(0, 2)])
  expect(await world.sweep()).toBe(1)
  expect((await world.rows('Snaprow')).map(({ id, v }) => `${id} ${v}`)).toEqual([
    '1 meanwhile',
    '3 row 3',
    '12 row 12',
    '24 row 24',
    '28 row 28',
    '2500 row 2500',
  ])
})
