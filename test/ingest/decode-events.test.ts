/** Plain JSON rows, domain events, and arrays whose elements are rows. */
import { describe, expect, test } from 'vitest'
import { createDecoder } from '../../src/ingest/decode.ts'
import type { Entity, Format, SourceEvent } from '../../src/model/model.ts'
import { changeOf } from './decode-one.ts'
import { column, entity, model } from './entities.ts'
import { recordOf } from './samples.ts'

const decode = (probe: Entity, value: unknown, more: Parameters<typeof recordOf>[1] = {}, epoch = 0) =>
  createDecoder(model([probe])).decode(recordOf(value, more), epoch)
const event = (type: string, op: SourceEvent['op'], more: Partial<SourceEvent> = {}): SourceEvent => ({
  type,
  op,
  map: new Map(),
  set: new Map(),
  ...more,
})

describe('format JSON: a record is a row', () => {
  const incident = (more: Partial<Entity['source']> = {}) =>
    entity(
      'Incident',
      ['tenantId', 'id'],
      [column('tenantId', 'ID!'), column('id', 'ID!'), column('severity', 'Int!'), column('resolvedAt', 'DateTime')],
      { format: 'JSON', unit: 'MILLIS', ...more },
    )

  test('a field that is missing is null, and refused where the column is non-null', () => {
    const change = changeOf(decode(incident(), { tenant_id: 'acme', id: 'i1', severity: 2 }))
    expect(change).toMatchObject({ op: 'upsert', row: { resolvedAt: null }, absent: [], live: false })
    expect(change.eventTime).toBe('2026-11-18T11:06:40Z')
    expect(decode(incident(), { tenant_id: 'acme', id: 'i1' })).toMatchObject([
      { kind: 'bad', reason: 'Incident.severity is missing, but declared non-null' },
    ])
  })

  test('without a declared version the offset orders', () => {
    const change = changeOf(decode(incident(), { tenant_id: 'a', id: 'i', severity: 1 }, { offset: 41n }, 2))
    expect(change.version).toEqual({ kind: 'ordered', epoch: 2, major: 41n, minor: 0n })
  })

  test('a declared version orders, as an exact integer or as a time in microseconds, then the offset', () => {
    const versioned = incident({ version: ['rev'] })
    const row = (rev: string) => `{"tenant_id":"a","id":"i","severity":1,"rev":${rev}}`
    const majorOf = (rev: string) => changeOf(decode(versioned, row(rev))).version
    expect(majorOf('9007199254740993')).toMatchObject({ major: 9_007_199_254_740_993n, minor: 7n })
    expect(majorOf('"12"')).toMatchObject({ major: 12n })
    expect(majorOf('"2024-03-10T02:30:00.123456Z"')).toMatchObject({ major: 1_710_037_800_123_456n })
    for (const rev of ['null', '"soon"', '{}', '9223372036854775808']) {
      expect(decode(versioned, row(rev))).toMatchObject([{ kind: 'bad', reason: expect.stringContaining('rev') }])
    }
  })

  test('EVENT_TIME orders by the event time in microseconds', () => {
    const probe = { ...incident({ time: ['happened'] }), conflict: 'EVENT_TIME' as const }
    const value = { tenant_id: 'a', id: 'i', severity: 1, happened: 1_710_037_800_123 }
    // An epoch of the partition's sets no time back.
    const change = changeOf(decode(probe, value, {}, 5))
    expect(change).toMatchObject({
      eventTime: '2024-03-10T02:30:00.123Z',
      version: { epoch: 0, major: 1_710_037_800_123_000n, minor: 7n },
    })
  })

  test('FIELD_CLOCK orders likewise, and of equally late records of two partitions none is equal', () => {
    const probe = { ...incident({ time: ['happened'] }), conflict: 'FIELD_CLOCK' as const }
    const value = { tenant_id: 'a', id: 'i', severity: 1, happened: 1_710_037_800_123 }
    const versions = [0, 1].map((partition) => changeOf(decode(probe, value, { partition })).version)
    expect(versions[0]).toMatchObject({ major: 1_710_037_800_123_000n, minor: 7n })
    expect(versions[1]).toMatchObject({ major: 1_710_037_800_123_000n, minor: 2n ** 48n + 7n })
  })

  test('OWNER: what somebody else wrote is dropped and never bad; the header goes before what the record says of itself', () => {
    const row = { tenant_id: 'a', id: 'i', severity: 1 }
    const said = (writer: string | undefined, source: string, data: unknown = row, format: Format = 'CLOUDEVENTS') => {
      const probe = { ...incident({ format, owner: 'ops' }), conflict: 'OWNER' as const }
      const value = format === 'CLOUDEVENTS' ? { specversion: '1.0', id: '1', type: 't', source, data } : data
      const [decoded] = decode(probe, value, { headers: writer === undefined ? {} : { 'forebay-writer': writer } })
      return decoded?.kind === 'dropped' ? decoded.reason : decoded?.kind
    }
    expect(said(undefined, 'ops')).toBe('changes')
    expect(said(undefined, 'crm')).toBe('not-owner')
    expect(said('ops', 'crm')).toBe('changes')
    expect(said('crm', 'ops')).toBe('not-owner')
    expect(said('ops', '', row, 'JSON')).toBe('changes')
    expect(said(undefined, '', row, 'JSON')).toBe('not-owner')
    expect(said('crm', 'ops', { ...row, severity: 'high' })).toBe('not-owner')
    expect(said('ops', 'ops', { ...row, severity: 'high' })).toBe('bad')
  })

  test('a null value deletes by key; with a declared version it goes by the offset alone', () => {
    const key = { id: 'i1', tenant_id: 'acme' }
    const deleted = { op: 'delete', row: { tenantId: 'acme', id: 'i1' } }
    expect(changeOf(decode(incident(), null, { key }))).toMatchObject({ ...deleted, version: { major: 7n } })
    expect(changeOf(decode(incident({ version: ['rev'] }), null, { key }))).toMatchObject({
      ...deleted,
      version: { kind: 'incremental', epoch: 0 },
    })
    expect(decode(incident(), null)).toMatchObject([
      { kind: 'bad', reason: expect.stringMatching(/neither a key nor a row/) },
    ])
  })

  test('a single key may be a bare text or number, exactly as it was written', () => {
    const probe = entity('One', ['id'], [column('id', 'ID!')], { format: 'JSON' })
    for (const key of ['a b', '1e5', '"quoted"', '9007199254740993', '0042']) {
      const expected = key === '"quoted"' ? 'quoted' : key
      expect(changeOf(decode(probe, null, { key })).row.id).toBe(expected)
    }
  })
})

describe('each: the elements of an array are rows', () => {
  const issue = entity(
    'Issue',
    ['repoId', 'number'],
    [column('repoId', 'Long!'), column('number', 'Int!'), column('name', 'String')],
    {
      format: 'JSON',
      version: ['rev'],
    },
  )
  const label = entity(
    'IssueLabel',
    ['repoId', 'number', 'label'],
    [
      column('repoId', 'Long!'),
      column('number', 'Int!'),
      column('label', 'String!', { path: ['name'] }),
      column('colour', 'String'),
    ],
    { format: 'JSON', version: ['rev'], each: ['labels'] },
  )
  const both = createDecoder(model([issue, label]))
  const record = (labels: unknown) =>
    recordOf({ repo_id: 9, number: 4, name: 'the issue', rev: 5, ...(labels === undefined ? {} : { labels }) })
  const setOf = (labels: unknown) => {
    const decoded = both.decode(record(labels), 0)[1]!
    if (decoded.kind !== 'changes') throw new Error(JSON.stringify(decoded))
    expect(decoded.changes).toEqual([])
    return decoded.sets[0]!
  }

  test('both entities of the topic are decoded; rows take the parent’s key from the record and their own from the element', () => {
    const [first] = both.decode(record([]), 0)
    expect(changeOf([first!]).row).toEqual({ repoId: '9', number: 4, name: 'the issue' })
    const set = setOf([{ name: 'bug', colour: 'red' }, { name: 'old' }])
    expect(set).toMatchObject({ entity: 'IssueLabel', parent: { repoId: '9', number: 4 }, version: { major: 5n } })
    expect(set.rows.map(({ row }) => row)).toEqual([
      { repoId: '9', number: 4, label: 'bug', colour: 'red' },
      { repoId: '9', number: 4, label: 'old', colour: null },
    ])
  })

  test('elements may be bare values, and of two with one key the later stands', () => {
    expect(setOf(['bug', 'old', 'bug']).rows.map(({ row }) => row.label)).toEqual(['bug', 'old'])
  })

  test('an empty, null or missing array replaces with nothing, under the same parent', () => {
    for (const labels of [[], null, undefined]) {
      expect(setOf(labels)).toMatchObject({ parent: { repoId: '9', number: 4 }, rows: [] })
    }
  })

  test('a deleted record takes its rows with it', () => {
    const decoded = both.decode(recordOf(null, { key: { number: 4, repo_id: 9 } }), 0)
    expect(decoded).toMatchObject([
      { kind: 'changes', changes: [{ op: 'delete', row: { repoId: '9', number: 4 } }] },
      { kind: 'changes', sets: [{ parent: { repoId: '9', number: 4 }, rows: [] }] },
    ])
  })

  test('one bad element makes the whole record bad for that entity, and for that one only', () => {
    const [first, second] = both.decode(record([{ name: 'bug' }, {}]), 0)
    expect(first!.kind).toBe('changes')
    expect(second).toMatchObject({ kind: 'bad', entity: 'IssueLabel', reason: /IssueLabel\.label is missing/ })
  })

  test('in a Debezium row the array is JSON text, and one that was not sent leaves the rows alone', () => {
    const line = entity(
      'Line',
      ['orderId', 'position'],
      [column('orderId', 'ID!', { path: ['id'] }), column('position', 'Int!')],
      {
        each: ['lines'],
      },
    )
    const change = (lines: unknown) => ({ op: 'u', after: { id: 'o1', lines }, source: { lsn: 3 } })
    expect(decode(line, change('[{"position":1}]'))).toMatchObject([
      { sets: [{ parent: { orderId: 'o1' }, rows: [{ row: { orderId: 'o1', position: 1 } }] }] },
    ])
    const unsent = [{ kind: 'skipped', reason: 'array not sent' }]
    expect(decode(line, change('__debezium_unavailable_value'))).toEqual(unsent)
    expect(decode(line, change(undefined))).toEqual(unsent)
  })
})

describe('rows that Debezium has unwrapped', () => {
  const customer = entity('Customer', ['id'], [column('id', 'ID!'), column('name', 'String!')], {
    format: 'JSON',
    version: ['__source_lsn'],
    typeAt: ['__deleted'],
    events: [event('false', 'UPSERT'), event('true', 'DELETE')],
  })
  const row = (deleted: string, lsn: number, more: object) =>
    JSON.stringify({ id: 'c1', ...more, __deleted: deleted, __op: deleted === 'true' ? 'd' : 'u', __source_lsn: lsn })

  test('come by their lsn; a rewritten delete needs nothing but its key, and the tombstone after it says nothing', () => {
    expect(changeOf(decode(customer, row('false', 41, { name: 'Ann' })))).toMatchObject({
      op: 'upsert',
      row: { id: 'c1', name: 'Ann' },
      version: { kind: 'ordered', major: 41n },
    })
    expect(changeOf(decode(customer, row('true', 42, { name: null })))).toMatchObject({
      op: 'delete',
      row: { id: 'c1' },
      version: { kind: 'ordered', major: 42n },
    })
    expect(decode(customer, null, { key: 'c1' })).toEqual([{ kind: 'skipped', reason: 'tombstone' }])
  })
})
