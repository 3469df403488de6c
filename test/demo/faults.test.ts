import { expect, test } from 'vitest'
import { createRandom } from '../../schema/simulation/random.ts'
import { simulation } from '../../schema/simulation.ts'
import { createDebezium, type OutRecord } from '../../src/operate/demo/debezium.ts'
import { createFaults } from '../../src/operate/demo/faults.ts'

const clean = (steps: number): OutRecord[][] => {
  // With messages that are not JSON among them.
  const run = simulation.create({ seed: 4, faults: true })
  const debezium = createDebezium(simulation.tables)
  run.seedData('tiny')
  return Array.from({ length: steps }, () => run.step().flatMap(debezium.render))
}
const withoutAdded = ({ topic, key, value }: OutRecord): string =>
  `${topic} ${key} ${value?.replace(',"added_later":"a new column"', '')}`

const arrive = (ticks: readonly OutRecord[][]) => {
  const faults = createFaults({ random: createRandom(9).next, calm: 20 })
  return { arrived: ticks.flatMap(faults.disturb), held: faults.held() }
}

test('faults repeat, delay and widen records, and lose none', () => {
  const ticks = clean(1500)
  const sent = ticks.flat()
  const { arrived, held } = arrive(ticks)
  expect(new Set([...arrived, ...held].map(withoutAdded))).toEqual(new Set(sent.map(withoutAdded)))
  expect(arrived.length).toBeGreaterThan(sent.length)
  expect(arrived.some(({ value }) => value?.includes('added_later'))).toBe(true)
})

test('faults keep the order in which a topic is first delivered, and break it between topics', () => {
  const ticks = clean(1500)
  const { arrived } = arrive(ticks)
  const firsts = [...new Set(arrived.map(withoutAdded))]
  const sent = ticks.flat().map(withoutAdded)
  const rank = new Map(sent.map((record, index) => [record, index]))
  const ranks = firsts.map((record) => rank.get(record) ?? -1)
  expect(ranks.some((one, index) => index > 0 && one < (ranks[index - 1] ?? 0))).toBe(true)
  for (const topic of new Set(arrived.map((record) => record.topic))) {
    const own = ranks.filter((_, index) => firsts[index]?.startsWith(`${topic} `))
    expect(own).toEqual(own.toSorted((a, b) => a - b))
  }
})
