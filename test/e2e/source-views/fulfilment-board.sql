with parcels as (
  select s.*, code(s.status) as state, o.tenant_id from shipments s join orders o on o.id = s.order_id)
select w.tenant_id as tenant, w.id as key, jsonb_build_object(
  'id', w.id,
  'name', w.name,
  'region', w.region,
  'open', (
    select count(*) from parcels p
    where p.warehouse_id = w.id and p.tenant_id = w.tenant_id and p.state in ('CREATED', 'PICKED')),
  'lost', (
    select count(*) from parcels p where p.warehouse_id = w.id and p.tenant_id = w.tenant_id and p.state = 'LOST'),
  'belowReorder', (select count(*) from stock_levels l where l.warehouse_id = w.id and l.on_hand < l.reorder_at),
  'next', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'id', p.id, 'orderId', p.order_id, 'status', p.state, 'dueAt', iso(p.due_at), 'city', p.city)
      order by p.due_at, p.id), '[]')
    from (
      select * from parcels p
      where p.warehouse_id = w.id and p.tenant_id = w.tenant_id and p.state in ('CREATED', 'PICKED')
      order by p.due_at, p.id limit 50) p)) as row
from warehouses w
