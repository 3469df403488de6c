select w.tenant_id as tenant, l.warehouse_id || '/' || l.product_id as key, jsonb_build_object(
  'warehouseId', l.warehouse_id,
  'productId', l.product_id,
  'warehouse', w.name,
  'sku', p.sku,
  'product', p.name,
  'onHand', l.on_hand,
  'reserved', l.reserved,
  'reorderAt', l.reorder_at,
  'available', l.on_hand - l.reserved,
  'low', l.on_hand - l.reserved <= l.reorder_at,
  'openUnits', (
    select coalesce(sum(line.quantity), 0)::text
    from order_lines line join orders o on o.id = line.order_id
    where line.warehouse_id = l.warehouse_id and line.product_id = l.product_id and o.tenant_id = w.tenant_id
      and code(o.status) in ('PAID', 'PICKING'))) as row
from stock_levels l
join warehouses w on w.id = l.warehouse_id
left join products p on p.id = l.product_id and p.tenant_id = w.tenant_id
