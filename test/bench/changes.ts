/**
 * A seeded stream of Debezium-style changes to four tables: about 700 bytes each, 8.9% duplicates, 5.4% late ones, some deletes.
 * The same seed gives the same bytes.
 */
type Row = Record<string, string | null>
type Version = {
  readonly table: Table
  readonly op: 'c' | 'u' | 'd'
  readonly row: Row
  readonly lsn: number
  readonly at: number
}
export type Table = 'customers' | 'orders' | 'payments' | 'shipments'
export type Message = { readonly topic: string; readonly key: string; readonly value: string }

export const tables: readonly Table[] = ['customers', 'orders', 'payments', 'shipments']

/** mulberry32 */
export const random = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const begin = Date.UTC(2026, 0, 1)
const iso = (ms: number): string => new Date(ms).toISOString()

/** Yields `count` messages over `customers` customers, who all exist by the first tenth. */
export function* changes(count: number, customers: number, seed = 1): Generator<Message> {
  const chance = random(seed)
  const below = (n: number): number => Math.floor(chance() * n)
  const pick = <T>(values: readonly T[]): T => values[below(values.length)]!
  const known: Record<Table, Row[]> = { customers: [], orders: [], payments: [], shipments: [] }
  let lsn = 20_000_000
  let sent = 0
  const held: Version[] = []

  const make = (): Version => {
    lsn += 40 + below(200)
    const at = begin + lsn / 10
    const dice = chance()
    const table: Table =
      known.customers.length < customers && (dice < 0.5 || known.customers.length < 10)
        ? 'customers'
        : dice < 0.1
          ? 'customers'
          : dice < 0.5
            ? 'orders'
            : dice < 0.75 || known.orders.length === 0
              ? 'payments'
              : 'shipments'
    const rows = known[table]
    const fresh = table === 'customers' ? rows.length < customers : chance() < 0.45 || rows.length === 0
    if (!fresh) {
      const index = below(rows.length)
      if (table !== 'customers' && chance() < 0.04) {
        const [row] = rows.splice(index, 1)
        return { table, op: 'd', row: row!, lsn, at }
      }
      rows[index] = { ...rows[index]!, ...touched(table) }
      return { table, op: 'u', row: rows[index]!, lsn, at }
    }
    const row = created(table, at)
    rows.push(row)
    return { table, op: 'c', row, lsn, at }
  }
  const touched = (table: Table): Row => {
    switch (table) {
      case 'customers':
        return { tier: pick(['STANDARD', 'SILVER', 'GOLD']) }
      case 'orders':
        return { status: pick(['PAID', 'PICKING', 'SHIPPED', 'DELIVERED', 'CANCELLED']) }
      case 'payments':
        return { status: pick(['CAPTURED', 'FAILED', 'REFUNDED']) }
      case 'shipments':
        return { status: pick(['PICKED', 'HANDED_OVER', 'DELIVERED']) }
    }
  }
  const created = (table: Table, at: number): Row => {
    const customer = () => `c${below(Math.max(1, known.customers.length))}`
    const order = () => (known.orders.length ? pick(known.orders).id! : 'o0')
    const money = () => `${below(900) + 5}.${String(below(100)).padStart(2, '0')}`
    const id = `${table[0]}${lsn}`
    switch (table) {
      case 'customers': {
        const n = known.customers.length
        return {
          id: `c${n}`,
          tenant_id: 'acme',
          email: `person.${n}@example.org`,
          full_name: `Person Number ${n}`,
          tier: 'STANDARD',
          note: null,
        }
      }
      case 'orders':
        return { id, tenant_id: 'acme', customer_id: customer(), status: 'PENDING', total: money(), placed_at: iso(at) }
      case 'payments':
        return { id, tenant_id: 'acme', order_id: order(), status: 'AUTHORIZED', amount: money(), created_at: iso(at) }
      case 'shipments':
        return {
          id,
          tenant_id: 'acme',
          order_id: order(),
          carrier: pick(['DHL', 'UPS', 'Hermes']),
          status: 'CREATED',
          created_at: iso(at),
        }
    }
  }

  const recent: Message[] = []
  while (sent < count) {
    sent += 1
    const dice = chance()
    if (dice < 0.089 && recent.length) {
      yield pick(recent)
      continue
    }
    // A late change is held back and sent after others of its key may have passed it.
    if (held.length > 40 || (held.length && sent > count - held.length)) {
      yield message(held.splice(below(held.length), 1)[0]!)
      continue
    }
    let version = make()
    if (dice > 0.946) {
      held.push(version)
      version = make()
    }
    const out = message(version)
    recent.push(out)
    if (recent.length > 500) recent.shift()
    yield out
  }
}

export const message = ({ table, op, row, lsn, at }: Version): Message => {
  const source = {
    version: '3.4.0.Final',
    connector: 'postgresql',
    name: 'bench',
    ts_ms: Math.floor(at),
    snapshot: 'false',
    db: 'bench',
    sequence: `["${lsn - 40}","${lsn}"]`,
    ts_us: Math.floor(at * 1000),
    ts_ns: Math.floor(at * 1000) * 1000,
    schema: 'public',
    table,
    txId: Math.floor(lsn / 100),
    lsn,
    xmin: null,
  }
  const envelope = {
    before: op === 'd' ? { ...Object.fromEntries(Object.keys(row).map((name) => [name, null])), id: row.id } : null,
    after: op === 'd' ? null : row,
    source,
    transaction: { id: `${Math.floor(lsn / 100)}:${lsn}`, total_order: 1, data_collection_order: 1 },
    op,
    ts_ms: Math.floor(at) + 12,
    ts_us: Math.floor(at * 1000) + 12_345,
    ts_ns: (Math.floor(at * 1000) + 12_345) * 1000,
  }
  return { topic: `bench.${table}`, key: JSON.stringify({ id: row.id }), value: JSON.stringify(envelope) }
}
