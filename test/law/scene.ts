/** Everything that one run of a law is about, made from a declaration and a tape: the same again in another process. */

import type { Decoder } from '../../src/ingest/decode.ts'
import { createDecoder } from '../../src/ingest/decode.ts'
import type { Model } from '../../src/model/model.ts'
import { type History, type Log, makeHistory, makeLog, type Sent } from './change-arbitrary.ts'
import { withoutComputed } from './computed-row.ts'
import type { SourceWrite } from './debezium.ts'
import { type Draw, drawFrom } from './draw.ts'
import { formatsOf } from './formats.ts'
import { loadModel } from './model.ts'

export type Scene = {
  readonly model: Model
  readonly decoder: Decoder
  /** The same as sources know it. */
  readonly sent: Model
  readonly rows: History['rows']
  readonly log: Log
  /** A write of the source as a record of its partition. */
  readonly encode: (write: SourceWrite) => readonly Sent[]
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
  const sent = withoutComputed(model)
  const history = makeHistory(draw, sent, LENGTH)
  const formats = formatsOf(sent)
  const partitions = 1 + draw.below(3)
  const log = makeLog(draw, history, partitions, formats)
  // Rounds of a few keys, so that what one entry or one path leads to is split over many.
  const sizes = { batch: 1 + draw.below(20), budget: 1 + draw.below(draw.oneIn(2) ? 5 : 30) }
  const encode: Scene['encode'] = (write) => formats.encode(write, partitions)
  return {
    model,
    sent,
    decoder: createDecoder(model, formats.schemas),
    rows: history.rows,
    log,
    encode,
    draw,
    ...sizes,
  }
}
