-- As an analyst would ask the source for it. iso() and code(), which the test makes, write moments and enum texts as answers do.
select c.tenant_id as tenant, c.id as key, jsonb_build_object(
  'id', c.id,
  'email', c.email,
  'phone', c.phone,
  'fullName', c.full_name,
  'nationalId', c.national_id,
  'tier', code(c.tier),
  'city', (
    select a.city from addresses a where a.customer_id = c.id
    order by a.is_default desc, a.updated_at desc, a.id limit 1),
  'createdAt', iso(c.created_at),
  'orderCount', totals.orders,
  'lifetimeValue', totals.value,
  'lastOrderAt', totals.last,
  'openTickets', (
    select count(*) from tickets t
    where t.customer_id = c.id and t.tenant_id = c.tenant_id and code(t.status) in ('OPEN', 'PENDING')),
  'recentOrders', (
    select coalesce(jsonb_agg(one.value order by one.n), '[]') from (
      select row_number() over (order by o.placed_at desc, o.id) as n, jsonb_build_object(
        'id', o.id,
        'total', o.total::text,
        'status', code(o.status),
        'placedAt', iso(o.placed_at),
        'paymentStatus', (
          select code(p.status) from payments p where p.order_id = o.id and p.tenant_id = o.tenant_id
          order by p.created_at desc, p.id limit 1),
        'carrier', (select s.carrier from shipments s where s.order_id = o.id order by s.created_at desc, s.id limit 1),
        'lines', (
          select coalesce(jsonb_agg(jsonb_build_object(
            'position', l.position,
            'product', product.name,
            'quantity', l.quantity,
            'price', l.unit_price::text,
            'amount', trim_scale(l.unit_price * l.quantity)::text) order by l.position), '[]')
          from (select * from order_lines where order_id = o.id order by position limit 20) l
          left join products product on product.id = l.product_id and product.tenant_id = o.tenant_id)) as value
      from orders o where o.customer_id = c.id and o.tenant_id = c.tenant_id
      order by o.placed_at desc, o.id limit 10) one),
  'recentTickets', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'id', t.id, 'subject', t.subject, 'status', code(t.status), 'openedAt', iso(t.opened_at)) order by t.opened_at desc, t.id), '[]')
    from (
      select * from tickets where customer_id = c.id and tenant_id = c.tenant_id
      order by opened_at desc, id limit 5) t),
  'vip', code(c.tier) = 'GOLD' or totals.orders >= 50) as row
from customers c
cross join lateral (
  select count(*) as orders, iso(max(o.placed_at)) as last,
    coalesce(sum(o.total_home) filter (where code(o.status) <> 'CANCELLED'), 0.00)::text as value
  from orders o where o.customer_id = c.id and o.tenant_id = c.tenant_id) totals
where c.closed_at is null
