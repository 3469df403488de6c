select c.tenant_id as tenant, c.id as key, jsonb_build_object(
  'id', c.id,
  'tier', code(c.tier),
  'locale', c.locale,
  'mayPersonalize', consent.granted,
  'boughtLately', case when consent.granted then (
    select coalesce(jsonb_agg(bought.category order by bought.placed_at desc, bought.order_id, bought.position), '[]') from (
      select p.category, o.placed_at, l.order_id, l.position
      from orders o join order_lines l on l.order_id = o.id join products p on p.id = l.product_id and p.tenant_id = o.tenant_id
      where o.customer_id = c.id and o.tenant_id = c.tenant_id
      order by o.placed_at desc, l.order_id, l.position limit 50) bought) else '[]' end) as row
from customers c
left join lateral (
  select granted from consents where customer_id = c.id and code(purpose) = 'PERSONALIZATION'
  order by changed_at desc limit 1) consent on true
where c.closed_at is null
