/** A batch as layers: what it comes to is what its changes come to one by one. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareVersions, fold } from '../../src/ingest/apply/fold.ts'
import type { CellValue, Change } from '../../src/ingest/change.ts'
import { column, entity } from './entities.ts'

const columns = [column('id', 'ID!'), column('tenant', 'ID'), column('a', 'Int'), column('b', 'Int')]
const shared = entity('Thing', ['id'], columns)
const tenanted = entity('Thing', ['id'], columns, {}, { tenant: { kind: 'COLUMN', column: 'tenant', claim: 'tenant' } })

type Made = Partial<Omit<Change, 'row' | 'version'>> & {
  readonly row?: Readonly<Record<string, CellValue>>
  readonly version?: Change['version']
}
const change = (major: number, { row, ...more }: Made = {}): Change => ({
  entity: 'Thing',
  op: 'upsert',
  row: { id: 'x', tenant: 'acme', a: major, b: major, ...row },
  absent: [],
  version: { kind: 'ordered', epoch: 0, major: BigInt(major), minor: 1n },
  eventTime: new Date(1_790_000_000_000 + major).toISOString(),
  live: true,
  position: { topic: 'things', partition: 0, offset: BigInt(major) },
  ...more,
})
const incremental = (offset: number): Change =>
  change(offset, { live: false, version: { kind: 'incremental', epoch: 0 } })
const majors = (layers: readonly (readonly Change[])[]) =>
  layers.map((layer) => layer.map(({ row, version }) => [row.id, version.kind === 'ordered' ? version.major : -1n]))

test('of full images of one key the newest stands, wherever it is in the batch', () => {
  const folded = fold(shared, [change(2), change(3), change(1)])
  expect(majors(folded.layers)).toEqual([[['x', 3n]]])
  expect(folded).toMatchObject({ older: 2, duplicate: 0 })
})

test('an equal version is a duplicate, and the first of them stands', () => {
  const again = change(2, { row: { a: 9 } })
  const folded = fold(shared, [change(2), again])
  expect(folded.layers).toEqual([[change(2)]])
  expect(folded).toMatchObject({ older: 0, duplicate: 1 })
})

test('keys do not fold into one another', () => {
  expect(majors(fold(shared, [change(1), change(2, { row: { id: 'y' } })]).layers)).toEqual([
    [
      ['x', 1n],
      ['y', 2n],
    ],
  ])
})

test('a change with absent columns is a layer of its own, and so is what follows it', () => {
  const folded = fold(shared, [change(1), change(2, { absent: ['a'] }), change(3)])
  expect(majors(folded.layers)).toEqual([[['x', 1n]], [['x', 2n]], [['x', 3n]]])
})

test('an incremental read is a layer of its own, and so is what follows it', () => {
  const folded = fold(shared, [change(1), incremental(2), change(3)])
  expect(majors(folded.layers)).toEqual([[['x', 1n]], [['x', -1n]], [['x', 3n]]])
})

test('a change of tenant meets the stored tenant; a delete, which has none, folds', () => {
  const other = change(2, { row: { tenant: 'globex' } })
  expect(fold(tenanted, [change(1), other]).layers).toHaveLength(2)
  expect(fold(shared, [change(1), other]).layers).toHaveLength(1)
  const gone = change(2, { op: 'delete' })
  expect(majors(fold(tenanted, [change(1), gone]).layers)).toEqual([[['x', 2n]]])
  expect(fold(tenanted, [change(1), gone, change(3)]).layers).toHaveLength(2)
})

describe('C14 within one batch', () => {
  const LATER = '2030-01-01T00:00:00Z'
  test('C14 an earlier position with a later time is told', () => {
    const back = change(10, { eventTime: LATER })
    expect(fold(shared, [change(50), back]).restored).toEqual([back])
  })
  test('C14 not where the time is earlier too, the change is not live, or an epoch has begun', () => {
    const quiet = [
      change(10),
      change(10, { eventTime: LATER, live: false }),
      change(10, { eventTime: LATER, version: { kind: 'ordered', epoch: 1, major: 10n, minor: 1n } }),
    ]
    for (const one of quiet) expect(fold(shared, [change(50), one]).restored).toEqual([])
  })
  test('C14 a fraction of a second counts', () => {
    const first = change(50, { eventTime: '2026-01-01T00:00:00Z' })
    const back = change(10, { eventTime: '2026-01-01T00:00:00.000001Z' })
    expect(fold(shared, [first, back]).restored).toEqual([back])
    const [second, earlier] = [
      { ...first, eventTime: back.eventTime },
      { ...back, eventTime: first.eventTime },
    ]
    expect(fold(shared, [second, earlier]).restored).toEqual([])
  })
})

type Stored = {
  readonly change: Pick<Change, 'op' | 'row' | 'position' | 'eventTime'>
  /** Null: an incremental read's. */
  readonly version: Extract<Change['version'], { kind: 'ordered' }> | null
}

/** What a table keeps, as the rules of order say it: C12, absent columns, one tenant a key. */
const applyAll = (changes: readonly Change[], before: ReadonlyMap<unknown, Stored> = new Map()) => {
  const table = new Map(before)
  const moved = new Set<Change>()
  for (const next of changes) {
    const known = table.get(next.row.id)
    const version = next.version.kind === 'ordered' ? next.version : null
    if (known) {
      const isNewer = version
        ? known.version === null || compareVersions(version, known.version) > 0
        : next.position.offset > known.change.position.offset
      const moves = next.op === 'upsert' && known.change.op === 'upsert' && known.change.row.tenant !== next.row.tenant
      if (isNewer && moves) moved.add(next)
      if (!isNewer || moves) continue
    }
    const { op, position, eventTime } = next
    const old = known?.change.op === 'upsert' ? known.change.row : {}
    const kept = Object.fromEntries(next.absent.map((name) => [name, old[name] ?? null]))
    const row = op === 'delete' ? { id: next.row.id! } : { ...next.row, ...kept }
    table.set(next.row.id, { change: { op, row, position, eventTime }, version: version ?? known?.version ?? null })
  }
  return { table, moved }
}
/** As the pump does: a batch with records that would move a key comes again without them. */
const applyFolded = (batch: readonly Change[], before: ReadonlyMap<unknown, Stored>): ReadonlyMap<unknown, Stored> => {
  const { table, moved } = applyAll(fold(tenanted, batch).layers.flat(), before)
  if (moved.size === 0) return table
  return applyFolded(
    batch.filter((one) => !moved.has(one)),
    before,
  )
}

const small = fc.integer({ min: 0, max: 5 })
const drawn = fc.record({
  id: fc.constantFrom('x', 'y'),
  tenant: fc.constantFrom('acme', 'acme', 'globex'),
  kind: fc.constantFrom('full', 'full', 'delete', 'patch', 'incremental'),
  epoch: fc.constantFrom(0, 0, 1),
  major: small,
  minor: fc.constantFrom(0, 1),
  value: small,
})
/** In the order of one partition's log. */
const batches = fc
  .tuple(fc.array(drawn, { maxLength: 6 }), fc.array(drawn, { maxLength: 12 }))
  .map(([before, batch]) => {
    const changes = [...before, ...batch].map(
      ({ id, tenant, kind, epoch, major, minor, value }, offset): Change => ({
        ...change(major, { row: { id, tenant, a: value, b: value } }),
        op: kind === 'delete' ? 'delete' : 'upsert',
        absent: kind === 'patch' ? ['a'] : [],
        version:
          kind === 'incremental'
            ? { kind: 'incremental', epoch }
            : { kind: 'ordered', epoch, major: BigInt(major), minor: BigInt(minor) },
        position: { topic: 'things', partition: 0, offset: BigInt(offset) },
      }),
    )
    return { before: changes.slice(0, before.length), batch: changes.slice(before.length) }
  })

test('C12 C15 layers applied in order come to what the changes come to one by one, whatever was stored before', () => {
  fc.assert(
    fc.property(batches, ({ before, batch }) => {
      const { layers } = fold(tenanted, batch)
      for (const layer of layers) expect(new Set(layer.map(({ row }) => row.id)).size).toBe(layer.length)
      expect(applyFolded(batch, applyAll(before).table)).toEqual(applyAll([...before, ...batch]).table)
    }),
    { numRuns: 2000 },
  )
})
