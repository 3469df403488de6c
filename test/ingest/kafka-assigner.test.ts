import { expect, test } from 'vitest'
import { type Member, share } from '../../src/ingest/source/kafka-assigner.ts'
import { type Partition, partitionName } from '../../src/ingest/source.ts'

const partitionsOf = (topic: string, count: number): Partition[] =>
  Array.from({ length: count }, (_, partition) => ({ topic, partition }))
const all = [...partitionsOf('a', 7), ...partitionsOf('b', 5)]
const newcomer = (id: string, topics: readonly string[] = ['a', 'b']): Member => ({
  id,
  topics,
  since: 0,
  partitions: [],
})

/** The members as they join the next time. */
const next = (
  shares: ReadonlyMap<string, readonly Partition[]>,
  since: number,
  left: readonly string[] = [],
): Member[] =>
  [...shares].filter(([id]) => !left.includes(id)).map(([id, partitions]) => ({ ...newcomer(id), since, partitions }))
const names = (shares: ReadonlyMap<string, readonly Partition[]>, id: string) =>
  (shares.get(id) ?? []).map(partitionName)
const moved = (before: ReadonlyMap<string, readonly Partition[]>, after: ReadonlyMap<string, readonly Partition[]>) =>
  [...after].flatMap(([id]) => names(after, id).filter((name) => !names(before, id).includes(name)))

const expectWhole = (shares: ReadonlyMap<string, readonly Partition[]>) => {
  const given = [...shares.values()].flat().map(partitionName)
  expect(given.toSorted()).toEqual(all.map(partitionName).toSorted())
  const sizes = [...shares.values()].map(({ length }) => length)
  expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
}

test('partitions are shared out evenly, and who joins takes only what is one too many elsewhere', () => {
  const one = share(all, [newcomer('x')])
  expectWhole(one)
  const two = share(all, [...next(one, 1), newcomer('y')])
  expectWhole(two)
  expect(moved(one, two)).toHaveLength(6)
  const three = share(all, [...next(two, 2), newcomer('z')])
  expectWhole(three)
  expect(moved(two, three)).toHaveLength(4)
  expect(moved(three, share(all, next(three, 3)))).toEqual([])
})

test('of who leaves only its own partitions move', () => {
  const three = share(
    all,
    ['x', 'y', 'z'].map((id) => newcomer(id)),
  )
  const two = share(all, next(three, 1, ['y']))
  expectWhole(two)
  expect(moved(three, two).toSorted()).toEqual(names(three, 'y').toSorted())
})

test('who comes back after the group went on without it gets nothing for having had it once', () => {
  const two = share(all, [newcomer('x'), newcomer('y')])
  const alone = share(all, next(two, 1, ['y']))
  const stale = next(two, 1).find(({ id }) => id === 'y')!
  const back = share(all, [...next(alone, 2), stale])
  expectWhole(back)
  expect(moved(alone, back)).toHaveLength(6)
  expect(names(back, 'x').every((name) => names(alone, 'x').includes(name))).toBe(true)
})

test('a topic goes only to who reads it, and one that nobody reads to nobody', () => {
  const shares = share(all, [newcomer('x', ['a']), newcomer('y', ['a'])])
  expect([...shares.values()].flat().map(({ topic }) => topic)).toEqual(Array.from({ length: 7 }, () => 'a'))
  const uneven = share(all, [newcomer('x', ['a', 'b']), newcomer('y', ['b'])])
  expect(uneven.get('y')!.map(({ topic }) => topic)).toEqual(Array.from({ length: 5 }, () => 'b'))
})
