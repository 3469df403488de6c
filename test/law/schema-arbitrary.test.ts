import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatFault, parseSchema } from '../../src/model/load.ts'
import { schemaArbitrary } from './schema-arbitrary.ts'

test('every generated declaration is valid', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(schemaArbitrary, async (text) => {
      const loaded = await parseSchema([{ name: 'zoo.graphql', text }])
      expect(loaded.ok ? [] : loaded.faults.map(formatFault)).toEqual([])
    }),
    { numRuns: 200 },
  )
})
