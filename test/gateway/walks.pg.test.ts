/**
 * Walks from page to page while rows come, go and move: what stood throughout is seen once, in order. Over keys of several fields, text
 * that orders by code point and by no language, values that many rows share, and values that are not there.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { columnName, ident } from '../../src/model/names.ts'
import { check } from '../law/runs.ts'
import { desk } from './support/desk.ts'
import { type Asker, readModel, startWorld, type World } from './support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ model: await readModel('test/graphql/schema'), rows: desk })
})
afterAll(() => world.stop())

type Value = string | number | null
type Row = Readonly<Record<string, Value>>
type List = {
  readonly view: string
  readonly many: string
  readonly key: readonly string[]
  readonly asker: Asker
  readonly row: fc.Arbitrary<Row>
  readonly orders: readonly string[]
  /** What the table holds besides. */
  readonly more: Readonly<Record<string, Value>>
}
const letters = fc.constantFrom('a', 'B', 'é', 'Z', '_', '-', 'ab', 'aB', 'a_', 'ß', '😀', '')
const sometimes = <T>(value: fc.Arbitrary<T>) => fc.option(value, { freq: 2 })
const lists: readonly List[] = [
  {
    view: 'LineFile',
    many: 'lineFiles',
    key: ['orderId', 'line'],
    asker: { roles: ['AGENT'] },
    row: fc.record({
      orderId: letters,
      line: fc.integer({ min: -2, max: 12 }),
      product: fc.constantFrom('lamp', 'Lamp', 'émaux', 'zinc'),
      amount: fc.constantFrom('0.5', '-3', '10', '9', '1234567890123456789.01'),
    }),
    orders: ['line', 'product', 'amount'],
    more: { price: '1', quantity: 1 },
  },
  {
    view: 'ProductCard',
    many: 'productCards',
    key: ['sku'],
    asker: { roles: ['AGENT'], scope: 'products:read' },
    row: fc.record({
      sku: fc.tuple(letters, letters, letters).map((some) => some.join('')),
      name: fc.constantFrom('a', 'A', 'b', 'é'),
      weight: sometimes(fc.constantFrom(1.5, -0.25, 3, 1e300)),
    }),
    orders: ['name', 'weight'],
    more: {},
  },
  {
    view: 'RegionFile',
    many: 'regionFiles',
    key: ['id'],
    // Rows of other regions, and of other tenants, come and go unseen.
    asker: { roles: ['CLERK'], claims: { region: 'north' } },
    row: fc.record({
      id: fc.tuple(letters, letters, letters).map((some) => some.join('')),
      tier: fc.constantFrom('BASIC', 'GOLD'),
      region: fc.constantFrom('north', 'north', 'south', null),
      _tenant: fc.constantFrom('acme', 'acme', 'globex'),
    }),
    orders: ['tier'],
    more: { email: 'x@x.example', phone: null, street: null },
  },
]
const seen = (list: List, row: Row): boolean =>
  list.view !== 'RegionFile' || (row.region === 'north' && row._tenant === 'acme')

// ── the order, in JavaScript ────────────────────────────────────────────────────────────────────────────────────────
type Order = { readonly field: string; readonly direction: 'ASC' | 'DESC' }
const compare = (field: string, a: Value, b: Value): number => {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  // One of these has more digits than a number holds, and is by far the greatest.
  if (field === 'amount') return Number(a) - Number(b)
  return Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b)))
}
const before =
  (list: List, orders: readonly Order[]) =>
  (a: Row, b: Row): number => {
    for (const { field, direction } of orders) {
      const [x, y] = [a[field]!, b[field]!]
      if (x === y) continue
      if (x === null || y === null) return x === null ? 1 : -1
      return compare(field, x, y) * (direction === 'ASC' ? 1 : -1)
    }
    const way = orders.at(-1)?.direction === 'DESC' ? -1 : 1
    for (const field of list.key) {
      const difference = compare(field, a[field]!, b[field]!)
      if (difference !== 0) return difference * way
    }
    return 0
  }

// ── the table, and a walk ───────────────────────────────────────────────────────────────────────────────────────────
const nameOf = ({ key }: List, row: Row): string => JSON.stringify(key.map((field) => row[field]))
const put = async (list: List, rows: readonly Row[]): Promise<void> => {
  const { table } = world.views.get(list.view)!.table
  const { sql } = world.database
  const tenanted = list.view !== 'ProductCard'
  for (const row of rows) {
    const all: Row = {
      ...list.more,
      ...(tenanted ? { _tenant: 'acme' } : {}),
      ...row,
      _version: '1',
      _incomplete: 'false',
    }
    const names = Object.keys(all)
    const columns = names.map((name) => ident(name.startsWith('_') ? name : columnName(name)))
    const key = list.key.map((name) => ident(columnName(name)))
    await sql.unsafe(
      `insert into ${table} (${columns.join(', ')}) select ${columns.map((column) => `x.${column}`).join(', ')} from json_populate_record(null::${table}, $1::text::json) x
       on conflict (${key.join(', ')}) do update set ${columns.map((column) => `${column} = excluded.${column}`).join(', ')}`,
      [
        JSON.stringify(
          Object.fromEntries(names.map((name) => [name.startsWith('_') ? name : columnName(name), all[name]])),
        ),
      ],
    )
  }
}
const drop = async (list: List, rows: readonly Row[]): Promise<void> => {
  const { table } = world.views.get(list.view)!.table
  for (const row of rows)
    await world.database.sql.unsafe(
      `delete from ${table} where ${list.key.map((name, i) => `${ident(columnName(name))}::text = $${i + 1}`).join(' and ')}`,
      list.key.map((name) => String(row[name])),
    )
}
const page = async (list: List, args: Readonly<Record<string, unknown>>) => {
  const { body } = await world.ask(
    `query ($orderBy: [${list.view}OrderBy!], $first: Int, $after: String, $last: Int, $before: String) {
      page: ${list.many}(orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
        edges { cursor node { ${list.key.join(' ')} } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount
      }
    }`,
    list.asker,
    args,
  )
  expect(body.errors).toBeUndefined()
  const { edges, pageInfo, totalCount } = body.data.page
  expect([pageInfo.startCursor, pageInfo.endCursor]).toEqual([edges[0]?.cursor ?? null, edges.at(-1)?.cursor ?? null])
  return { names: (edges as { node: Row }[]).map(({ node }) => nameOf(list, node)), totalCount, ...pageInfo }
}

/** What happens between two pages. */
type Event = { readonly kind: 'put'; readonly row: Row } | { readonly kind: 'drop'; readonly which: number }

describe.each(lists.map((list) => [list.view, list] as const))('%s', (_, list) => {
  const distinct = (rows: readonly Row[]) => [...new Map(rows.map((row) => [nameOf(list, row), row])).values()]
  const order = fc.uniqueArray(
    fc.record({ field: fc.constantFrom(...list.orders), direction: fc.constantFrom('ASC' as const, 'DESC' as const) }),
    { selector: ({ field }) => field, maxLength: list.orders.length },
  )
  const event: fc.Arbitrary<Event> = fc.oneof(
    list.row.map((row): Event => ({ kind: 'put', row })),
    fc.nat(100).map((which): Event => ({ kind: 'drop', which })),
  )

  test('every row that stands through a walk is seen once, in order, forward and backward', async () => {
    const { table } = world.views.get(list.view)!.table
    await check(
      30,
      fc.asyncProperty(
        fc.array(list.row, { minLength: 5, maxLength: 30 }),
        order,
        fc.boolean(),
        fc.integer({ min: 1, max: 7 }),
        fc.array(fc.array(event, { maxLength: 3 }), { maxLength: 8 }),
        async (given, orders, backward, size, events) => {
          await world.database.sql.unsafe(`truncate ${table}`)
          const now = new Map(distinct(given).map((row) => [nameOf(list, row), row]))
          await put(list, [...now.values()])
          const stood = new Map([...now].filter(([, row]) => seen(list, row)))
          const orderBy = orders.map(({ field, direction }) => ({ [field]: direction }))
          const walked: string[] = []
          let place: string | null = null
          for (let turn = 0; ; turn += 1) {
            const one = await page(
              list,
              backward ? { orderBy, last: size, before: place } : { orderBy, first: size, after: place },
            )
            expect(one.totalCount).toBe([...now.values()].filter((row) => seen(list, row)).length)
            walked.push(...(backward ? one.names.toReversed() : one.names))
            if (!(backward ? one.hasPreviousPage : one.hasNextPage)) break
            place = backward ? one.startCursor : one.endCursor
            for (const happens of events[turn] ?? []) {
              const row =
                happens.kind === 'put' ? happens.row : [...now.values()][happens.which % Math.max(1, now.size)]
              if (!row) continue
              const name = nameOf(list, row)
              if (happens.kind === 'put') {
                const was = now.get(name)
                now.set(name, row)
                await put(list, [row])
                // One that stays where it is stands.
                if (JSON.stringify(was) !== JSON.stringify(row)) stood.delete(name)
              } else {
                now.delete(name)
                stood.delete(name)
                await drop(list, [row])
              }
            }
          }
          const wanted = [...stood.values()].sort(before(list, orders)).map((row) => nameOf(list, row))
          const found = walked.filter((name) => stood.has(name))
          expect(found).toEqual(backward ? wanted.toReversed() : wanted)
        },
      ),
    )
  })
})

// ── whose cursor it is ──────────────────────────────────────────────────────────────────────────────────────────────
const first = async (asker: Asker): Promise<string> => {
  const { body } = await world.ask('{ regionFiles(first: 1) { pageInfo { endCursor } } }', asker)
  return body.data.regionFiles.pageInfo.endCursor
}
const opens = async (cursor: string, asker: Asker): Promise<unknown> => {
  const { body } = await world.ask(`{ regionFiles(first: 1, after: "${cursor}") { nodes { id } } }`, asker)
  return body.errors?.[0].extensions.code ?? 'opened'
}
const north: Asker = { roles: ['CLERK'], claims: { region: 'north' } }
const others: readonly (readonly [string, Asker, unknown])[] = [
  ['its own reader', north, 'opened'],
  ['the same with a claim that no rule looks at', { ...north, claims: { region: 'north', shift: 2 } }, 'opened'],
  ['another tenant', { ...north, tenant: 'globex' }, 'BAD_USER_INPUT'],
  ['no tenant', { ...north, tenant: null }, 'BAD_USER_INPUT'],
  ['another role', { roles: ['AGENT'], claims: { region: 'north' } }, 'BAD_USER_INPUT'],
  ['one role more', { ...north, roles: ['CLERK', 'AGENT'] }, 'BAD_USER_INPUT'],
  ['the same role by another claim', { ...north, claims: { region: 'south' } }, 'BAD_USER_INPUT'],
]
test.each(others)('a cursor of a role, a tenant and a claim in the hands of %s', async (_, asker, result) => {
  await world.write({ Customer: desk.Customer! })
  expect(await opens(await first(north), asker)).toBe(result)
})
