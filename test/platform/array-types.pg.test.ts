import { expect, test } from 'vitest'
import { freshDatabase } from '../support/postgres.ts'

const cases: readonly { readonly type: string; readonly items: readonly unknown[] }[] = [
  {
    type: 'text[]',
    items: ['plain', '', 'with "quotes"', 'back\\slash', 'comma, {brace}', 'line\nbreak', 'NULL', 'null', null, 'ß 😀'],
  },
  { type: 'int[]', items: [1, -2, null, 2147483647] },
  { type: 'bigint[]', items: ['9007199254740993', '-9223372036854775808', null] },
  { type: 'numeric[]', items: ['1.50', '12345678901234567890.123', null] },
  { type: 'timestamptz[]', items: ['2026-11-21 09:30:00.000001+00', null] },
  { type: 'text[]', items: [] },
]

test.each(cases)('an array of $type comes back as it went', async ({ type, items }) => {
  const { sql, drop } = await freshDatabase(1)
  try {
    const [row] = await sql.unsafe(`select $1::${type} as items`, [items as never])
    expect(row!.items).toEqual(items)
  } finally {
    await drop()
  }
})

test('an array of booleans is read; as a parameter postgres.js takes it for one boolean', async () => {
  const { sql, drop } = await freshDatabase(1)
  try {
    const [row] = await sql`select '{t,f,null}'::boolean[] as items`
    expect(row!.items).toEqual([true, false, null])
  } finally {
    await drop()
  }
})
