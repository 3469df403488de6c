/** Windows as the language describes them: rows whose time is in (floor(now, step) − last, now]. */
import type { Window } from '../../src/model/event-time.ts'
import type { Field } from '../../src/model/model.ts'
import { micros } from './values.ts'

const floor = (us: bigint, size: bigint): bigint => us - (((us % size) + size) % size)

/** A row without a time is in no window. */
export const isWithin = (at: string | null, { lastMs, stepMs }: Window, now: string): boolean => {
  if (at === null) return false
  const [time, moment] = [micros(at), micros(now)]
  return time <= moment && time > floor(moment, BigInt(stepMs) * 1000n) - BigInt(lastMs) * 1000n
}

/** Whether the field's value depends on when it is asked for. */
export const isRolling = (fields: readonly Field[], { value }: Field): boolean =>
  (value.kind === 'aggregate' && value.window !== undefined) ||
  (value.kind === 'expr' && value.inputs.some((name) => isRolling(fields, fields.find((one) => one.name === name)!)))
