select o.tenant_id as tenant, o.id as key, jsonb_build_object(
  'id', o.id,
  'status', code(o.status),
  'customerName', (
    select c.full_name from customers c
    where c.id = o.customer_id and c.tenant_id = o.tenant_id and c.closed_at is null),
  'placedAt', iso(o.placed_at),
  'events', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'id', e.id, 'kind', code(e.kind), 'detail', e.detail, 'at', iso(e.at), 'actor', e.actor) order by e.at, e.id), '[]')
    from (select * from order_events where order_id = o.id order by at, id limit 200) e),
  'shipments', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'id', s.id, 'status', code(s.status), 'carrier', s.carrier, 'recipient', s.recipient, 'createdAt', iso(s.created_at))
      order by s.created_at, s.id), '[]')
    from (select * from shipments where order_id = o.id order by created_at, id limit 20) s)) as row
from orders o
