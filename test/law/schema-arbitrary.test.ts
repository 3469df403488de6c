import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatFault, parseSchema } from '../../src/model/load.ts'
import { check } from './runs.ts'
import { schemaArbitrary } from './schema-arbitrary.ts'

test('every generated declaration is valid', { timeout: 120_000 }, async () => {
  await check(
    200,
    fc.asyncProperty(schemaArbitrary, async (text) => {
      const loaded = await parseSchema([{ name: 'zoo.graphql', text }])
      expect(loaded.ok ? [] : loaded.faults.map(formatFault)).toEqual([])
    }),
  )
})
