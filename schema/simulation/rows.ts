/** The rows of the shop's own tables, as its services keep them: what the entities of this folder are read from. */
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
