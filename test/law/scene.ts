/** Everything that one run of a law is about, made from a declaration and a tape: the same again in another process. */

import type { Decoder } from '../../src/ingest/decode.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import type { Model } from '../../src/model/model.ts'
import { type History, type Log, makeHistory, makeLog } from './change-arbitrary.ts'
import { type Draw, drawFrom } from './draw.ts'
import { formatsOf } from './formats.ts'
import { loadModel } from './model.ts'

export type Scene = {
  readonly model: Model
  readonly decoder: Decoder
  readonly rows: History['rows']
  readonly log: Log
  /** What is left of the tape, for schedules. */
  readonly draw: Draw
  /** Records in a batch, and keys in a round of maintenance, at most. */
  readonly batch: number
  readonly budget: number
}

const LENGTH = 110

export const makeScene = async (text: string, numbers: readonly number[]): Promise<Scene> => {
  const model = await loadModel(text)
  const draw = drawFrom(numbers)
  const history = makeHistory(draw, model, LENGTH)
  const formats = formatsOf(model)
  const log = makeLog(draw, history, 1 + draw.below(3), formats)
  const sizes = { batch: 1 + draw.below(20), budget: 1 + draw.below(30) }
  return { model, decoder: createDecoder(model, formats.schemas), rows: history.rows, log, draw, ...sizes }
}
