/** `_trace` and `_tx` of an entity's row: the W3C traceparent and the source's transaction of the change that it stands on. */
import { expect, test } from 'vitest'
import type { LogRecord } from '../../src/ingest/change.ts'
import { openWorld } from '../facts/world.ts'

const TRACE = (n: number) => `00-${'0af7651916cd43dd8448eb211c80319c'}-${String(n).padStart(16, '0')}-01`
const FOLDER = ['VERSION', 'FIELD_CLOCK']
  .map(
    (conflict, n) =>
      `type Thing${n} @entity(domain: "odd", key: "id", conflict: ${conflict}, source: { topic: "things${n}" }) { id: ID!, name: String, size: Int }`,
  )
  .join('\n')
const EVENTS =
  'type Note @entity(domain: "odd", key: "id", source: { topic: "events", format: CLOUDEVENTS }) { id: ID!, name: String }'

const change = (
  topic: string,
  at: number,
  row: object | null,
  source: object,
  headers: LogRecord['headers'] = {},
): LogRecord => ({
  topic,
  partition: 0,
  offset: 0n,
  timestamp: 0,
  headers,
  key: Buffer.from('{"id":"a"}'),
  value: Buffer.from(
    JSON.stringify({
      op: row ? 'u' : 'd',
      before: row ? null : { id: 'a' },
      after: row && { id: 'a', ...row },
      source: { lsn: at, ts_us: at, ...source },
    }),
  ),
})

test.each([
  ['VERSION', 0],
  ['FIELD_CLOCK', 1],
])('a row says the trace and transaction of its latest change, and of no dropped one (%s)', async (_, n) => {
  const world = await openWorld(FOLDER)
  const topic = `things${n}`
  const said = async () => {
    const [row] = await world.sql.unsafe(`select _trace, _tx from odd.thing${n}`)
    return [row!._trace, row!._tx]
  }
  const name = (value: string) => ({ name: value, size: 1 })
  await world.deliver([change(topic, 10, name('x'), { txId: 771 }, { traceparent: Buffer.from(TRACE(1)) })])
  expect(await said()).toEqual([TRACE(1), '771'])
  // As Debezium's outbox and tracing put it into the row; MySQL has a GTID.
  const spans = `#Fri Nov 20\ntraceparent=${TRACE(2)}\n`
  await world.deliver([change(topic, 20, { ...name('y'), tracingspancontext: spans }, { gtid: 'f0e1:23' })])
  expect(await said()).toEqual([TRACE(2), 'f0e1:23'])
  await world.deliver([change(topic, 15, name('old'), { txId: 5 }, { traceparent: TRACE(5) })])
  expect(await said()).toEqual([TRACE(2), 'f0e1:23'])
  await world.deliver([change(topic, 30, { name: '__debezium_unavailable_value', size: 2 }, { txId: 780 })])
  expect(await said()).toEqual([null, '780'])
  await world.deliver([change(topic, 40, null, { txId: 790 }, { traceparent: 'not a trace' })])
  expect(await said()).toEqual([null, '790'])
  const [gone] = await world.sql.unsafe(`select _deleted from odd.thing${n}`)
  expect(gone).toEqual({ _deleted: true })
})

test('a CloudEvent’s traceparent is kept, the header’s before its own', async () => {
  const world = await openWorld(EVENTS)
  const event = (own: string | undefined, header?: string): LogRecord => ({
    topic: 'events',
    partition: 0,
    offset: 0n,
    timestamp: 0,
    headers: header === undefined ? {} : { traceparent: header },
    key: Buffer.from('a'),
    value: Buffer.from(
      JSON.stringify({
        specversion: '1.0',
        id: '1',
        type: 't',
        source: 's',
        traceparent: own,
        data: { id: 'a', name: 'x' },
      }),
    ),
  })
  for (const [record, trace] of [
    [event(TRACE(1)), TRACE(1)],
    [event(TRACE(1), TRACE(2)), TRACE(2)],
    [event(undefined), null],
  ] as const) {
    await world.deliver([record])
    expect([...(await world.sql`select _trace, _tx from odd.note`)]).toEqual([{ _trace: trace, _tx: null }])
  }
})
