import { describe, expect, test } from 'vitest'
import { formatFault, parseSchema } from '../../src/model/load.ts'
import { accessFaults } from './faults/access.ts'
import { computedFaults } from './faults/computed.ts'
import { entityFaults } from './faults/entities.ts'
import { expressionFaults } from './faults/expressions.ts'
import { inexpressibleFaults } from './faults/inexpressible.ts'
import { laterFaults } from './faults/later.ts'
import { nameFaults } from './faults/names.ts'
import { retentionFaults } from './faults/retention.ts'
import { shownFaults } from './faults/shown.ts'
import { tenantFaults } from './faults/tenants.ts'
import { viewFaults } from './faults/views.ts'
import { windowFaults } from './faults/windows.ts'
import { base, type FaultCase } from './folder.ts'

const groups: Readonly<Record<string, readonly FaultCase[]>> = {
  entities: entityFaults,
  tenants: tenantFaults,
  views: viewFaults,
  expressions: expressionFaults,
  windows: windowFaults,
  retention: retentionFaults,
  'fields shown by a condition': shownFaults,
  'computed fields': computedFaults,
  access: accessFaults,
  names: nameFaults,
  'not running yet': laterFaults,
  'not expressible': inexpressibleFaults,
}

for (const [group, cases] of Object.entries(groups))
  describe(group, () => {
    test.each(cases)('$rule', async ({ sdl, says, alone = false }) => {
      const before = sdl.slice(0, sdl.indexOf('‸')).split('\n')
      const place = { file: 'case.graphql', line: before.length, column: before.at(-1)!.length + 1 }
      expect(sdl.split('‸')).toHaveLength(2)
      const files = [{ name: 'case.graphql', text: sdl.replace('‸', '') }]
      const loaded = await parseSchema(alone ? files : [{ name: 'base.graphql', text: base }, ...files])
      expect(loaded.ok).toBe(false)
      if (loaded.ok) return
      const lines = loaded.faults.map(formatFault)
      expect(lines).toHaveLength(1)
      expect(lines[0]).toContain(`${place.file}:${place.line}:${place.column}: `)
      expect(lines[0]).toContain(says)
    })
  })

test('the folder that the cases add to has no fault of its own', async () => {
  expect(await parseSchema([{ name: 'base.graphql', text: base }])).toMatchObject({ ok: true })
})
