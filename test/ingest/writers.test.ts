import { readdir, readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

test('C7 every writer of entity rows goes through one function', async () => {
  const target = String.raw`(?:\$\{([^}]*)\}|([\w".]+))`
  const writes = [
    `(?:insert|merge)\\s+into\\s+${target}`,
    `delete\\s+from\\s+${target}`,
    `truncate\\s+(?:table\\s+)?(?!is |on )${target}`,
    `update\\s+${target}(?:\\s+(?:as\\s+)?\\w+)?\\s+set\\b`,
    `copy\\s+${target}[^\\n]*\\sfrom\\b`,
  ].map((write) => new RegExp(write, 'gi'))
  /** Tables that are not an entity's: the engine's own, a view's, and those of sources, the demo's too. */
  const others = [
    'ingest/dirty-log.ts: table',
    'ingest/feed/slot.ts: table as',
    'operate/replay/signal.ts: quoted(table)',
    'operate/replay/signal.ts: table debezium_signal',
    'model/sql/expiry.ts: one',
    'model/sql/expiry.ts: table',
    'model/sql/kept-part.ts: table',
    'model/sql/rollup-distinct.ts: table',
    'model/sql/rollup-proof.ts: table',
    'model/sql/rollup.ts: members',
    'model/sql/rollup.ts: sums',
    'model/sql/view-table.ts: parts.table',
    'model/sql/view-table.ts: table',
  ]
  const named = /: table (forebay|simulation)\.\w+$/
  const root = new URL('../../src/', import.meta.url)
  const found = new Set<string>()
  for (const name of await readdir(root, { recursive: true })) {
    if (!name.endsWith('.ts')) continue
    const code = (await readFile(new URL(name, root), 'utf8')).replace(/^\s*(\/?\*|\/\/).*$/gm, '')
    for (const write of writes)
      for (const [, made, written] of code.matchAll(write)) found.add(`${name}: ${made ?? `table ${written}`}`)
  }
  const left = [...found].filter((one) => !named.test(one) && !others.includes(one))
  expect(left).toEqual(['ingest/apply/entity-statement.ts: table'])
})
