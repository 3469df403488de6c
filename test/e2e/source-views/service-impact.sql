select i.tenant_id as tenant, i.id as key, jsonb_build_object(
  'tenantId', i.tenant_id,
  'id', i.id,
  'title', i.title,
  'severity', i.severity,
  'region', i.region,
  'openedAt', iso('epoch'::timestamptz + i.opened_at * interval '1 millisecond'),
  'affected', waiting.orders,
  'value', waiting.value,
  'sample', (
    select coalesce(jsonb_agg(jsonb_build_object('id', o.id, 'status', code(o.status), 'placedAt', iso(o.placed_at)) order by o.placed_at desc, o.id), '[]')
    from (
      select * from orders where tenant_id = i.tenant_id and region = i.region and code(status) in ('PAID', 'PICKING')
      order by placed_at desc, id limit 20) o)) as row
from incidents i
cross join lateral (
  select count(*) as orders, coalesce(sum(o.total_home), 0.00)::text as value
  from orders o where o.tenant_id = i.tenant_id and o.region = i.region and code(o.status) in ('PAID', 'PICKING')) waiting
where i.resolved_at is null
