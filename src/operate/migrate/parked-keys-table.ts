/** Keys that could not be recomputed: see src/ingest/maintain/park-keys.ts. `digest` stands for the key, which may be too long for an index. */
import { identity, optional, required, table } from './engine-table.ts'

export const parkedKeys = table(
  'parked_keys',
  [
    identity('id', 'bigint'),
    required('generation', 'integer'),
    required('path', 'integer'),
    required('shard', 'integer'),
    required('key', 'text'),
    required('digest', 'text collate "C"'),
    required('sqlstate', 'text'),
    required('reason', 'text'),
    required('since', 'timestamptz', 'now()'),
    required('attempts', 'integer', '1'),
    required('next_attempt_at', 'timestamptz'),
    optional('origin', 'timestamptz'),
    optional('offsets', 'jsonb'),
  ],
  ['id'],
  {
    uniques: [{ name: 'parked_keys_key', columns: ['generation', 'path', 'digest'] }],
    indexes: [
      { name: 'parked_keys_due', columns: ['generation', 'shard', 'next_attempt_at'] },
      { name: 'parked_keys_generation_since', columns: ['generation', 'since'] },
    ],
  },
)
