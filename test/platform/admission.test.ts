import { expect, test } from 'vitest'
import { createAdmission } from '../../src/platform/admission.ts'
import { HttpError } from '../../src/platform/http-problem.ts'

const patient = { running: 2, waiting: 3, waitMs: 60_000 }
const stays = { gone: new AbortController().signal }
/** Work that ends when it is told to. */
const held = () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  let begun = false
  return {
    work: () => {
      begun = true
      return promise
    },
    begun: () => begun,
    end: resolve,
  }
}

test('so many are worked on, so many wait in the order they came, and one more is refused with 503', async () => {
  const admission = createAdmission(patient)
  const all = Array.from({ length: 5 }, held)
  const asked = all.map(({ work }) => admission.run(work, stays))
  const one = await admission.run(async () => 'done', stays).catch((error: unknown) => error)
  expect(one).toBeInstanceOf(HttpError)
  expect(one).toMatchObject({ status: 503, headers: { 'Retry-After': '1' } })
  expect(all.map(({ begun }) => begun())).toEqual([true, true, false, false, false])
  all[1]!.end()
  await asked[1]
  await expect.poll(() => all.map(({ begun }) => begun())).toEqual([true, true, true, false, false])
  for (const { end } of all) end()
  await Promise.all(asked)
  expect(await admission.run(async () => 'done', stays)).toBe('done')
})

test('work that fails gives its turn on', async () => {
  const admission = createAdmission({ ...patient, running: 1 })
  const fail = () => admission.run(() => Promise.reject(new Error('no')), stays).catch((error: Error) => error.message)
  expect(await Promise.all([fail(), fail(), fail()])).toEqual(['no', 'no', 'no'])
  expect(await admission.run(async () => 'done', stays)).toBe('done')
})

test('who has waited too long is refused, and takes nobody’s turn', async () => {
  const admission = createAdmission({ running: 1, waiting: 10, waitMs: 50 })
  const first = held()
  const working = admission.run(first.work, stays)
  const late = held()
  await expect(admission.run(late.work, stays)).rejects.toMatchObject({ status: 503 })
  const next = held()
  const waiting = admission.run(next.work, stays)
  first.end()
  await working
  next.end()
  await waiting
  expect([late.begun(), next.begun()]).toEqual([false, true])
})

test('who goes away while waiting leaves its place to another', async () => {
  const admission = createAdmission({ running: 1, waiting: 1, waitMs: 60_000 })
  const first = held()
  const working = admission.run(first.work, stays)
  const leaves = new AbortController()
  const gone = held()
  const left = admission.run(gone.work, { gone: leaves.signal }).catch((error: Error) => error.message)
  leaves.abort()
  expect(await left).toBe('the caller went away')
  const next = admission.run(async () => 'done', stays)
  first.end()
  expect([await working, await next, gone.begun()]).toEqual([undefined, 'done', false])
})
