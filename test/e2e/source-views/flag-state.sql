select f.tenant_id as tenant, f.name as key, jsonb_build_object(
  'name', f.name,
  'enabled', f.enabled,
  'rollout', f.rollout,
  'payload', f.payload,
  'changedAt', iso(f.changed_at)) as row
from flags f
