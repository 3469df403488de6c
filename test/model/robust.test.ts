import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatFault, parseSchema } from '../../src/model/load.ts'
import { base, customers, orders } from './folder.ts'

const tokens = /"""[\s\S]*?"""|"[^"\n]*"|[A-Za-z_]\w*|\d+|[^\s]|\s+/g

test('a mutilated folder is judged, never thrown at, and every fault has a place within it', async () => {
  const schema = fileURLToPath(new URL('../schemas/github/github.graphql', import.meta.url))
  const texts = [
    base,
    await readFile(schema, 'utf8'),
    `${base}${customers('n: Int! @count(of: "orders")')}${orders('units: Int! twice: Int! @expr(sql: "units * 2")')}`,
  ]
  const words = [...new Set(texts.join('\n').match(tokens))]
  const change = fc.record({ at: fc.nat(), word: fc.constantFrom('', ...words), cut: fc.integer({ min: 0, max: 3 }) })
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...texts),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      async (text, changes) => {
        const parts: string[] = text.match(tokens) ?? []
        for (const { at, word, cut } of changes) parts.splice(at % parts.length, cut, word)
        const sdl = parts.join('')
        const loaded = await parseSchema([{ name: 'case.graphql', text: sdl }])
        if (loaded.ok) return
        const lines = sdl.split('\n')
        for (const { place, problem, remedy } of loaded.faults) {
          expect(place.file).toBe('case.graphql')
          expect(place.line).toBeGreaterThan(0)
          expect(place.line).toBeLessThanOrEqual(lines.length)
          expect(formatFault({ place, problem, remedy })).not.toMatch(/undefined|\[object|NaN/)
        }
      },
    ),
    { numRuns: 300 },
  )
})
