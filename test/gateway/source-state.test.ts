import { expect, test } from 'vitest'
import { partitionState, type StoredPartition } from '../../src/gateway/freshness/source-state.ts'

const now = Date.parse('2026-11-21T09:30:00Z')
const stored = (more: Partial<StoredPartition> = {}): StoredPartition => ({
  state: 'RUNNING',
  reason: null,
  stoppedAt: null,
  unasked: null,
  observedAt: now - 300,
  observedEnd: '7',
  nextOffset: '7',
  sourceFrontier: null,
  sourceTrouble: null,
  ...more,
})

test('idle is not stuck: a log that answers and holds nothing new', () => {
  expect(partitionState(stored(), now)).toEqual({ state: 'IDLE', needs: null, since: null, reason: null })
  expect(partitionState(stored({ nextOffset: '6' }), now)).toMatchObject({ state: 'RUNNING', needs: null })
})

test('a log that can’t be asked is stuck since its last answer, says why, and needs nothing but an answer', () => {
  const away = stored({ unasked: 'connection refused', observedAt: now - 60_000 })
  expect(partitionState(away, now)).toEqual({
    state: 'STUCK',
    needs: 'ANSWER',
    since: now - 60_000,
    reason: 'connection refused',
  })
})

test('one process that can’t ask says nothing while another one’s askings are answered', () => {
  expect(partitionState(stored({ unasked: 'connection refused' }), now)).toMatchObject({ state: 'IDLE' })
})

test('where nobody asks, that is said, even of a log that has nothing new', () => {
  expect(partitionState(stored({ observedAt: now - 10_000 }), now)).toMatchObject({
    state: 'STUCK',
    needs: 'ANSWER',
    since: now - 10_000,
    reason: expect.stringContaining('no ingest process'),
  })
})

test('what needs an operator stays apart, whether its log answers or not', () => {
  const lost = { state: 'STUCK', reason: 'the topic was made anew', stoppedAt: now - 5_000 } as const
  const held = { state: 'PAUSED', reason: 'too many records in quarantine' } as const
  for (const asking of [{}, { unasked: 'connection refused', observedAt: now - 60_000 }, { observedAt: null }]) {
    expect(partitionState(stored({ ...lost, ...asking }), now)).toEqual({
      state: 'STUCK',
      needs: 'OPERATOR',
      since: now - 5_000,
      reason: 'the topic was made anew',
    })
    expect(partitionState(stored({ ...held, ...asking }), now)).toMatchObject({ state: 'PAUSED', needs: 'OPERATOR' })
  }
})

test('a partition whose reader waits for something at a record is paused until that comes', () => {
  expect(partitionState(stored({ reason: 'a schema can’t be had' }), now)).toMatchObject({
    state: 'PAUSED',
    needs: 'ANSWER',
    reason: 'a schema can’t be had',
  })
})

test('a partition that was just found is not stuck for not having been asked yet', () => {
  expect(partitionState(stored({ observedAt: null, observedEnd: null }), now)).toMatchObject({
    state: 'RUNNING',
    needs: null,
  })
})

test('C23 a log that answers is no idle source where its connector is late: it is stuck since what is known of the source, and says why', () => {
  const dead = { sourceFrontier: now - 30_000, sourceTrouble: 'the connector has committed no offset' }
  expect(partitionState(stored(dead), now)).toEqual({
    state: 'STUCK',
    needs: 'ANSWER',
    since: now - 30_000,
    reason: 'the connector has committed no offset',
  })
  expect(partitionState(stored({ ...dead, sourceFrontier: null }), now)).toMatchObject({ state: 'STUCK', since: null })
  expect(partitionState(stored({ ...dead, sourceFrontier: now - 900 }), now), 'another process knows').toMatchObject({
    state: 'IDLE',
  })
  expect(partitionState(stored({ ...dead, reason: 'a schema can’t be had' }), now)).toMatchObject({
    state: 'PAUSED',
    reason: 'a schema can’t be had',
  })
  const away = { unasked: 'connection refused', observedAt: now - 60_000 }
  expect(partitionState(stored({ ...dead, ...away }), now)).toMatchObject({ reason: 'connection refused' })
})
