/** Every change that is not applied is counted, by why and of which entity, where operators look. */
import { expect, test } from 'vitest'
import type { LogRecord } from '../../src/ingest/change.ts'
import { healthRoutes } from '../../src/platform/health.ts'
import { serve } from '../../src/platform/http.ts'
import { openWorld } from '../facts/world.ts'

const WORLD = `
type Thing @entity(domain: "odd", key: "id", source: { topic: "things" }) { id: ID!, name: String }
type Timed @entity(domain: "odd", key: "id", conflict: EVENT_TIME, source: { topic: "timed" }) { id: ID!, name: String }
type Clocked @entity(domain: "odd", key: "id", conflict: FIELD_CLOCK, source: { topic: "clocked" }) { id: ID!, name: String, size: Int }
type Owned @entity(domain: "odd", key: "id", conflict: OWNER, source: { topic: "owned", owner: "crm" }) { id: ID!, name: String }
type Tagged @entity(domain: "odd", key: ["id", "tag"], source: { topic: "tagged", each: "tags" }) { id: ID!, tag: String! }
`
const record = (topic: string, at: number, row: object | null, more: object = {}): LogRecord => ({
  topic,
  partition: 0,
  offset: 0n,
  timestamp: 0,
  headers: {},
  key: row && Buffer.from('{"id":"a"}'),
  value: Buffer.from(
    JSON.stringify({ op: row ? 'u' : 't', after: row && { id: 'a', ...row }, source: { lsn: at, ts_us: at, ...more } }),
  ),
})
const UNSENT = '__debezium_unavailable_value'

/** As Prometheus reads it. */
const dropped = async (): Promise<readonly string[]> => {
  const { port, close } = await serve({ port: 0, host: '127.0.0.1', routes: healthRoutes({}) })
  try {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    return [...text.matchAll(/^forebay_changes_dropped_total\{reason="(.*?)",entity="(.*?)"\} (\d+)$/gm)]
      .map(([, reason, entity, count]) => `${entity} ${reason} ${count}`)
      .sort()
  } finally {
    await close()
  }
}

test('/metrics counts what was dropped by entity and reason, in one batch or in several', async () => {
  const world = await openWorld(WORLD)
  await world.deliver([
    record('things', 5, { name: 'new' }),
    record('things', 3, { name: 'old' }),
    record('things', 5, { name: 'new' }),
    record('timed', 5, { name: 'new' }),
    record('clocked', 5, { name: UNSENT, size: 1 }),
    record('owned', 5, { name: 'his' }, { name: 'crm' }),
    record('owned', 6, { name: 'another’s' }, { name: 'erp' }),
    record('owned', 7, null, { name: 'erp' }),
    record('tagged', 5, { tags: [{ tag: 'x' }] }),
    record('tagged', 3, { tags: [{ tag: 'y' }] }),
  ])
  expect(await dropped()).toEqual(['Owned not-owner 2', 'Tagged older 1', 'Thing duplicate 1', 'Thing older 1'])
  await world.deliver([
    record('things', 4, { name: 'old' }),
    record('things', 5, { name: 'new' }),
    record('timed', 4, { name: 'old' }),
    record('clocked', 4, { name: 'old', size: 0 }),
    record('clocked', 3, { name: 'older', size: 0 }),
    record('tagged', 5, { tags: [{ tag: 'x' }] }),
    record('tagged', 4, { tags: [{ tag: 'y' }] }),
  ])
  await world.deliver([record('things', 10, null), record('clocked', 10, null)])
  await world.deliver([record('things', 8, { name: 'below' }), record('clocked', 9, { name: 'below', size: 0 })])
  expect(await dropped()).toEqual([
    'Clocked older 1',
    'Clocked older-fields 1',
    'Clocked truncated 1',
    'Owned not-owner 2',
    'Tagged duplicate 1',
    'Tagged older 2',
    'Thing duplicate 2',
    'Thing older 2',
    'Thing truncated 1',
    'Timed older 1',
  ])
})
