select c.tenant_id as tenant, c.id as key, jsonb_build_object(
  'id', c.id,
  'keyHash', c.key_hash,
  'status', code(c.status),
  'scopes', c.scopes,
  'planName', p.name,
  'perMinute', p.per_minute,
  'perDay', p.per_day) as row
from api_clients c left join plans p on p.id = c.plan_id
