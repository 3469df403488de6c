/** What reconciling keeps: see src/ingest/reconcile/pass.ts and src/ingest/reconcile/drift.ts. */
import { identity, optional, required, table } from './engine-table.ts'
import type { Table } from './physical.ts'

export const reconcileTables: readonly Table[] = [
  table(
    'drift',
    [
      identity('id', 'bigint'),
      required('pass', 'bigint'),
      required('name', 'text'),
      optional('generation', 'integer'),
      required('proof', 'integer', '0'),
      required('key', 'text collate "C"'),
      optional('shard', 'integer'),
      required('kind', 'text'),
      required('seen_at', 'timestamptz', 'now()'),
      optional('evidence', 'jsonb'),
      optional('found_at', 'timestamptz'),
      optional('repaired_at', 'timestamptz'),
      required('tries', 'integer', '0'),
    ],
    ['id'],
    {
      indexes: [
        { name: 'drift_open', columns: ['pass', 'shard'], where: 'repaired_at is null' },
        { name: 'drift_name_found', columns: ['name', 'found_at'] },
      ],
    },
  ),
  table(
    'reconciliations',
    [
      identity('id', 'bigint'),
      required('kind', 'text'),
      required('name', 'text'),
      optional('generation', 'integer'),
      optional('asked_by', 'text'),
      required('state', 'text', "'READING'"),
      optional('cursor', 'jsonb'),
      required('started_at', 'timestamptz', 'now()'),
      optional('finished_at', 'timestamptz'),
      required('compared', 'bigint', '0'),
      required('drifted', 'bigint', '0'),
      required('repaired', 'bigint', '0'),
      optional('waiting', 'text'),
    ],
    ['id'],
    {
      indexes: [
        { name: 'reconciliations_open', columns: ['kind', 'name'], where: 'finished_at is null' },
        { name: 'reconciliations_name', columns: ['name', 'finished_at'] },
      ],
    },
  ),
]
