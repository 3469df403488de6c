/**
 * Topics of a connector of which nothing has ever come. That may be right, since a table may be empty; but a connector says nothing of a table
 * that it doesn't capture either, so it is said once, and by a gauge for as long as it lasts.
 */
import { isDebezium, type Model } from '../../model/model.ts'
import { log } from '../../platform/log.ts'
import { gauge } from '../../platform/metrics.ts'
import type { Extent } from '../source.ts'

const silentGauge = gauge({
  name: 'forebay_source_silent',
  help: '1 for a topic of a connector of which nothing has ever come, though it is declared.',
  labels: ['topic'],
})
/** A connector that is started together with this process takes about that long. */
const patienceMs = 30_000

/** Told of every answer about the log's ends. `refused`: topics that could not be asked, of which nothing is known. */
export const watchSilence = (
  model: Model,
  afterMs = patienceMs,
): ((extents: readonly Extent[], refused: ReadonlyMap<string, string>) => void) => {
  const sent = [...model.entities.values()].filter(
    ({ source: { format, table } }) => table === undefined && isDebezium(format),
  )
  const silent = Map.groupBy(sent, ({ source }) => source.topic)
  const said = new Set<string>()
  const since = performance.now()
  return (extents, refused) => {
    if (silent.size === 0) return
    const ends = Map.groupBy(extents, ({ topic }) => topic)
    for (const [topic, entities] of silent) {
      const known = ends.get(topic)
      if (known?.some(({ end }) => end > 0n)) {
        silent.delete(topic)
        if (said.has(topic)) silentGauge.remove({ topic })
      } else if (!said.has(topic) && !refused.has(topic) && performance.now() - since >= afterMs) {
        said.add(topic)
        silentGauge.set({ topic }, 1)
        log.warn('topic.silent', {
          topic,
          entities: entities.map(({ name }) => name),
          reason: reasonOf(known !== undefined),
        })
      }
    }
  }
}

const reasonOf = (exists: boolean): string =>
  `${exists ? 'nothing was ever sent to it' : "it doesn't exist"}. If its table holds rows, the connector doesn't capture it: add it to table.include.list and to the publication, which with publication.autocreate.mode=filtered holds only the tables that there were when it was made (alter publication … add table …); then send an execute-snapshot signal for the rows that are there`
