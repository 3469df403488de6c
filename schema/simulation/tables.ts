/** The shop's own tables, as its services keep them: what the entities of this folder are read from. */
import type { SourceTable } from '../../src/operate/demo/simulation.ts'

export type Tables = {
  customers: {
    id: string
    tenant_id: string
    email: string
    phone: string | null
    full_name: string
    birth_date: string | null
    national_id: string | null
    tier: string
    locale: string
    created_at: string
    closed_at: string | null
  }
  addresses: {
    id: string
    customer_id: string
    line1: string
    city: string
    country: string
    is_default: boolean
    updated_at: string
  }
  consents: { customer_id: string; purpose: string; granted: boolean; changed_at: string }
  tickets: {
    id: string
    tenant_id: string
    customer_id: string
    order_id: string | null
    subject: string
    status: string
    opened_at: string
  }
  products: {
    id: string
    tenant_id: string
    sku: string
    name: string
    category: string
    price: string
    attributes: { colour: string; weight_g: number; tags: readonly string[] } | null
  }
  orders: {
    id: string
    tenant_id: string
    customer_id: string
    status: string
    currency: string
    total: string
    total_home: string
    region: string
    placed_at: string
  }
  order_lines: {
    order_id: string
    position: number
    product_id: string
    warehouse_id: string
    quantity: number
    unit_price: string
  }
  order_events: {
    id: string
    order_id: string
    kind: string
    detail: string | null
    actor: string | null
    at: string
  }
  returns: { id: string; order_id: string; customer_id: string; reason: string | null; opened_at: string }
  payments: {
    id: string
    tenant_id: string
    order_id: string
    customer_id: string
    status: string
    amount: string
    currency: string
    card: string | null
    created_at: string
    captured_at: string | null
  }
  refunds: { id: string; payment_id: string; amount: string; created_at: string }
  warehouses: { id: string; tenant_id: string; name: string; region: string; zone: string }
  stock_levels: {
    warehouse_id: string
    product_id: string
    on_hand: number
    reserved: number
    reorder_at: number
    counted_at: number | null
  }
  shipments: {
    id: string
    order_id: string
    warehouse_id: string
    carrier: string | null
    status: string
    recipient: string | null
    city: string | null
    created_at: string
    due_at: string
    delivered_at: string | null
  }
  signals: {
    id: string
    tenant_id: string
    customer_id: string
    order_id: string | null
    kind: string
    score: string
    seen_at: string
  }
  plans: { id: string; name: string; per_minute: number; per_day: number }
  api_clients: {
    id: string
    tenant_id: string
    key_hash: string
    name: string
    status: string
    scopes: readonly string[]
    plan_id: string
  }
  usage_events: { id: string; client_id: string; units: number; at: number }
  flags: {
    tenant_id: string
    name: string
    enabled: boolean
    rollout: number
    payload: { readonly [name: string]: string | number } | null
    changed_at: string
  }
  incidents: {
    tenant_id: string
    id: string
    title: string
    severity: number
    region: string
    opened_at: number
    resolved_at: number | null
    rev: number
  }
}
export type TableName = keyof Tables

/** `prefix`: the connector that captures the table; without one, its service publishes messages. */
const table = <T extends TableName>(
  name: T,
  prefix: string | null,
  key: readonly (keyof Tables[T] & string)[],
  columns: Readonly<Record<keyof Tables[T] & string, string>>,
  toasted: readonly (keyof Tables[T] & string)[] = [],
): SourceTable => ({ name, ...(prefix ? { topic: `${prefix}.public.${name}` } : {}), key, columns, toasted })

const id = 'text not null'
const text = 'text'
const integer = 'integer not null'
const moment = 'timestamptz not null'
const money = 'numeric(12, 2) not null'

export const tables: readonly SourceTable[] = [
  table('customers', 'crm', ['id'], {
    id,
    tenant_id: id,
    email: id,
    phone: text,
    full_name: id,
    birth_date: 'date',
    national_id: text,
    tier: id,
    locale: id,
    created_at: moment,
    closed_at: 'timestamptz',
  }),
  table('addresses', 'crm', ['id'], {
    id,
    customer_id: id,
    line1: id,
    city: id,
    country: id,
    is_default: 'boolean not null',
    updated_at: moment,
  }),
  table('consents', 'crm', ['customer_id', 'purpose'], {
    customer_id: id,
    purpose: id,
    granted: 'boolean not null',
    changed_at: moment,
  }),
  table('tickets', 'crm', ['id'], {
    id,
    tenant_id: id,
    customer_id: id,
    order_id: text,
    subject: id,
    status: id,
    opened_at: moment,
  }),
  table(
    'products',
    'catalog',
    ['id'],
    { id, tenant_id: id, sku: id, name: id, category: id, price: money, attributes: 'jsonb' },
    ['attributes'],
  ),
  table('orders', 'sales', ['id'], {
    id,
    tenant_id: id,
    customer_id: id,
    status: id,
    currency: id,
    total: money,
    total_home: money,
    region: id,
    placed_at: moment,
  }),
  table('order_lines', 'sales', ['order_id', 'position'], {
    order_id: id,
    position: integer,
    product_id: id,
    warehouse_id: id,
    quantity: integer,
    unit_price: money,
  }),
  table('order_events', null, ['id'], { id, order_id: id, kind: id, detail: text, actor: text, at: moment }),
  table('returns', 'sales', ['id'], { id, order_id: id, customer_id: id, reason: text, opened_at: moment }),
  table('payments', 'billing', ['id'], {
    id,
    tenant_id: id,
    order_id: id,
    customer_id: id,
    status: id,
    amount: money,
    currency: id,
    card: text,
    created_at: moment,
    captured_at: 'timestamptz',
  }),
  table('refunds', 'billing', ['id'], { id, payment_id: id, amount: money, created_at: moment }),
  table('warehouses', 'wms', ['id'], { id, tenant_id: id, name: id, region: id, zone: id }),
  table('stock_levels', 'wms', ['warehouse_id', 'product_id'], {
    warehouse_id: id,
    product_id: id,
    on_hand: integer,
    reserved: integer,
    reorder_at: integer,
    counted_at: 'bigint',
  }),
  table('shipments', 'wms', ['id'], {
    id,
    order_id: id,
    warehouse_id: id,
    carrier: text,
    status: id,
    recipient: text,
    city: text,
    created_at: moment,
    due_at: moment,
    delivered_at: 'timestamptz',
  }),
  table('signals', null, ['id'], {
    id,
    tenant_id: id,
    customer_id: id,
    order_id: text,
    kind: id,
    score: 'numeric(5, 4) not null',
    seen_at: moment,
  }),
  table('plans', 'platform', ['id'], { id, name: id, per_minute: integer, per_day: integer }),
  table('api_clients', 'platform', ['id'], {
    id,
    tenant_id: id,
    key_hash: id,
    name: id,
    status: id,
    scopes: 'text[] not null',
    plan_id: id,
  }),
  table('usage_events', null, ['id'], { id, client_id: id, units: integer, at: 'bigint not null' }),
  table('flags', 'platform', ['tenant_id', 'name'], {
    tenant_id: id,
    name: id,
    enabled: 'boolean not null',
    rollout: integer,
    payload: 'jsonb',
    changed_at: moment,
  }),
  table('incidents', null, ['tenant_id', 'id'], {
    tenant_id: id,
    id,
    title: id,
    severity: integer,
    region: id,
    opened_at: 'bigint not null',
    resolved_at: 'bigint',
    rev: integer,
  }),
]
