/** Generations of views: see src/ingest/rebuild/states.ts, src/ingest/rebuild/fill.ts and src/model/sql/view-floor.ts. */
import { identity, optional, required, table } from './engine-table.ts'
import type { Table } from './physical.ts'

export const rebuildTables: readonly Table[] = [
  table(
    'fills',
    [
      required('generation', 'integer'),
      required('node', 'integer'),
      optional('cursor', 'jsonb'),
      required('done', 'bigint', '0'),
      required('total', 'bigint', '0'),
      optional('rate', 'double precision'),
      optional('waiting', 'text'),
      required('started_at', 'timestamptz', 'now()'),
      required('moved_at', 'timestamptz', 'now()'),
      optional('finished_at', 'timestamptz'),
    ],
    ['generation', 'node'],
  ),
  table(
    'gateways',
    [required('id', 'text'), required('seen_at', 'timestamptz'), required('catalog', 'integer')],
    ['id'],
  ),
  table(
    'generations',
    [
      identity('generation', 'integer'),
      required('view', 'text'),
      required('hash', 'text'),
      optional('declared', 'text'),
      required('state', 'text', "'ACTIVE'"),
      optional('definition', 'jsonb'),
      required('begun', 'integer', '0'),
      required('registered_at', 'timestamptz', 'now()'),
      optional('filled_at', 'timestamptz'),
      optional('proven_at', 'timestamptz'),
      optional('switched_at', 'timestamptz'),
      optional('switched_catalog', 'integer'),
      required('rolled_back', 'boolean', 'false'),
      optional('reason', 'text'),
      optional('failed_at', 'timestamptz'),
      optional('retired_at', 'timestamptz'),
      optional('dropped_at', 'timestamptz'),
    ],
    ['generation'],
    { uniques: [{ name: 'generations_view_hash', columns: ['view', 'hash'] }] },
  ),
  table(
    'pointers',
    [required('view', 'text'), required('generation', 'integer'), required('moved_at', 'timestamptz', 'now()')],
    ['view'],
  ),
  table('view_floors', [required('table', 'text'), required('floor', 'timestamptz')], ['table']),
]
