/** What reading needs beside the views: see src/ingest/maintain/change-feed.ts and src/platform/key-hash.ts. */
import { optional, required, table } from './engine-table.ts'
import type { Table } from './physical.ts'

export const readTables: readonly Table[] = [
  table(
    'change_feeds',
    [
      required('feed', 'text'),
      required('sequence', 'bigint', '0'),
      required('pid', 'integer'),
      optional('backend_start', 'timestamptz'),
      required('opened_at', 'timestamptz', 'now()'),
    ],
    ['feed'],
  ),
  table('key_secret', [required('id', 'boolean', 'true'), required('secret', 'text')], ['id'], {
    checks: [{ name: 'key_secret_is_one_row', sql: '"id"' }],
  }),
]
