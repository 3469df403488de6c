/** The engine's own tables, in the schema `forebay`. What each column means is said where it is written: src/ingest. */
import { identity, optional, required, table } from './engine-table.ts'
import { parkedKeys } from './parked-keys-table.ts'
import type { Table } from './physical.ts'
import { readTables } from './read-tables.ts'
import { rebuildTables } from './rebuild-tables.ts'
import { reconcileTables } from './reconcile-tables.ts'

const position = [required('topic', 'text'), required('partition', 'integer'), required('offset', 'bigint')]
const bytes = [optional('key', 'bytea'), optional('value', 'bytea'), optional('headers', 'jsonb')]

/** Entries of one slot share a partition, so that a slot's dead entries can be dropped at once (C10). */
export const dirtySlots = [0, 1, 2, 3]

export const engineTables: readonly Table[] = [
  ...rebuildTables,
  ...reconcileTables,
  ...readTables,
  table(
    'audit',
    [
      identity('id', 'bigint'),
      required('at', 'timestamptz', 'now()'),
      required('actor', 'text'),
      required('action', 'text'),
      required('subject', 'text'),
      required('reason', 'text'),
    ],
    ['id'],
  ),
  table('catalog', [required('id', 'boolean', 'true'), required('version', 'integer')], ['id'], {
    checks: [{ name: 'catalog_is_one_row', sql: '"id"' }],
  }),
  table(
    'degraded',
    [
      identity('id', 'bigint'),
      optional('quarantine', 'bigint'),
      optional('parked', 'bigint'),
      required('generation', 'integer'),
      optional('key', 'text collate "C"'),
      optional('settled_at', 'timestamptz'),
    ],
    ['id'],
    {
      indexes: [
        { name: 'degraded_generation_key', columns: ['generation', 'key'] },
        { name: 'degraded_parked', columns: ['parked'] },
        { name: 'degraded_quarantine', columns: ['quarantine'] },
      ],
    },
  ),
  table(
    'cursors',
    [
      required('feed', 'text'),
      required('version', 'bigint', '0'),
      optional('cursor', 'jsonb'),
      required('moved_at', 'timestamptz', 'now()'),
      required('state', 'text', "'RUNNING'"),
      optional('reason', 'text'),
    ],
    ['feed'],
  ),
  table(
    'dirty',
    [
      identity('id', 'bigint'),
      required('slot', 'smallint'),
      required('generation', 'integer'),
      required('path', 'integer'),
      required('shard', 'integer'),
      required('keys', 'jsonb'),
      required('n', 'integer'),
      optional('origin', 'timestamptz'),
      optional('offsets', 'jsonb'),
      optional('fanout', 'jsonb'),
    ],
    ['slot', 'id'],
    {
      indexes: [
        { name: 'dirty_fanout', columns: ['shard', 'id'], where: 'fanout is not null' },
        { name: 'dirty_shard_id', columns: ['shard', 'id'], where: 'fanout is null' },
        { name: 'dirty_generation_origin', columns: ['generation', 'origin'] },
        { name: 'dirty_generation_path_origin', columns: ['generation', 'path', 'origin'] },
      ],
      partitionBy: 'list ("slot")',
    },
  ),
  table(
    'documents',
    [
      required('entity', 'text'),
      required('parent', 'text collate "C"'),
      optional('epoch', 'integer'),
      optional('version', 'bigint'),
      optional('tie', 'bigint'),
    ],
    ['entity', 'parent'],
  ),
  table(
    'epochs',
    [
      required('topic', 'text'),
      required('partition', 'integer'),
      required('epoch', 'integer'),
      required('first_offset', 'bigint'),
    ],
    ['topic', 'partition', 'epoch'],
  ),
  table(
    'floors',
    [
      required('entity', 'text'),
      required('epoch', 'integer'),
      required('version', 'bigint'),
      required('tie', 'bigint'),
      optional('event_time', 'timestamptz'),
      required('swept', 'boolean', 'false'),
    ],
    ['entity'],
  ),
  table(
    'idempotency',
    [
      required('topic', 'text'),
      required('writer', 'text'),
      required('key', 'text'),
      required('body', 'bytea'),
      required('positions', 'jsonb'),
      required('at', 'timestamptz', 'now()'),
    ],
    ['topic', 'writer', 'key'],
    { indexes: [{ name: 'idempotency_at', columns: ['at'] }] },
  ),
  table('journal', [...position, ...bytes, required('at', 'timestamptz', 'now()')], ['topic', 'partition', 'offset']),
  table(
    'journal_ends',
    [
      required('topic', 'text'),
      required('partition', 'integer'),
      required('next_offset', 'bigint', '0'),
      required('start_offset', 'bigint', '0'),
    ],
    ['topic', 'partition'],
  ),
  parkedKeys,
  table(
    'polled_rows',
    [required('topic', 'text'), required('key', 'text collate "C"'), required('content', 'bytea')],
    ['topic', 'key'],
  ),
  table(
    'key_changes',
    [
      required('entity', 'text'),
      required('id', 'text collate "C"'),
      optional('new_key', 'jsonb'),
      optional('image', 'jsonb'),
      optional('missing', 'text[]'),
      optional('awaits', 'text'),
      required('at', 'timestamptz', 'now()'),
    ],
    ['entity', 'id'],
    { indexes: [{ name: 'key_changes_awaits', columns: ['entity', 'awaits'], where: 'awaits is not null' }] },
  ),
  table(
    'positions',
    [
      required('topic', 'text'),
      required('partition', 'integer'),
      required('epoch', 'integer', '0'),
      required('next_offset', 'bigint'),
      optional('frontier', 'timestamptz'),
      optional('source_frontier', 'timestamptz'),
      optional('source_trouble', 'text'),
      optional('source_lsn', 'bigint'),
      optional('observed_end', 'bigint'),
      optional('observed_at', 'timestamptz'),
      optional('unasked', 'text'),
      required('state', 'text', "'RUNNING'"),
      optional('reason', 'text'),
      optional('topic_id', 'text'),
      optional('waits_for', 'jsonb'),
      optional('paused_by', 'text'),
      optional('stopped_at', 'timestamptz'),
      optional('collected_below', 'bigint'),
    ],
    ['topic', 'partition'],
  ),
  table(
    'quarantine',
    [
      identity('id', 'bigint'),
      ...position,
      required('epoch', 'integer', '0'),
      optional('entity', 'text'),
      optional('entity_key', 'text collate "C"'),
      optional('major', 'bigint'),
      optional('told', 'jsonb'),
      optional('origin', 'timestamptz'),
      required('reason', 'text'),
      ...bytes,
      optional('record_time', 'timestamptz'),
      required('quarantined_at', 'timestamptz', 'now()'),
      required('state', 'text', "'PARKED'"),
      optional('settled_at', 'timestamptz'),
    ],
    ['id'],
    {
      uniques: [{ name: 'quarantine_record', columns: ['topic', 'partition', 'offset', 'epoch', 'entity'] }],
      indexes: [
        { name: 'quarantine_held', columns: ['entity', 'entity_key'], where: "state in ('PARKED', 'WAITING')" },
        { name: 'quarantine_settled', columns: ['settled_at'] },
      ],
    },
  ),
  table(
    'replay_positions',
    [
      required('replay', 'integer'),
      required('partition', 'integer'),
      required('epoch', 'integer'),
      required('first_offset', 'bigint'),
      required('next_offset', 'bigint'),
      required('until_offset', 'bigint'),
    ],
    ['replay', 'partition'],
  ),
  table(
    'replays',
    [
      identity('id', 'integer'),
      required('entity', 'text'),
      required('topic', 'text'),
      required('since', 'text'),
      required('state', 'text', "'RUNNING'"),
      required('requested_at', 'timestamptz', 'now()'),
      required('requested_by', 'text'),
      optional('finished_at', 'timestamptz'),
      required('records', 'bigint', '0'),
      required('added', 'bigint', '0'),
      required('refreshed', 'bigint', '0'),
      required('partial', 'bigint', '0'),
      required('parked', 'bigint', '0'),
      required('unreadable', 'bigint', '0'),
      optional('rate', 'double precision'),
      optional('waiting', 'text'),
      optional('error', 'text'),
    ],
    ['id'],
  ),
  table(
    'schemas',
    [
      required('registry', 'text'),
      required('id', 'text'),
      required('topics', 'text[]'),
      required('type', 'text'),
      required('schema', 'text'),
      required('refs', 'jsonb'),
      required('fetched_at', 'timestamptz', 'now()'),
    ],
    ['registry', 'id'],
  ),
  table(
    'snapshots',
    [
      required('entity', 'text'),
      required('epoch', 'integer'),
      required('version', 'bigint'),
      optional('event_time', 'timestamptz'),
      required('state', 'text', "'READING'"),
      optional('ends', 'jsonb'),
    ],
    ['entity'],
  ),
]
