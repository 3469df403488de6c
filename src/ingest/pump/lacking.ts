/** Declared columns that a source's new rows come without: nothing is wrong with the records, so nobody else would say so. */
import { log } from '../../platform/log.ts'
import { gauge } from '../../platform/metrics.ts'

const lackingGauge = gauge({
  name: 'forebay_column_lacking',
  help: '1 for a declared column that new rows of its source came without.',
  labels: ['entity', 'column'],
})
const said = new Set<string>()

/** Once a column. */
export const sayLacking = (entity: string, columns: readonly string[]): void => {
  for (const column of columns) {
    if (said.has(`${entity}.${column}`)) continue
    said.add(`${entity}.${column}`)
    lackingGauge.set({ entity, column }, 1)
    log.warn('column.lacking', {
      column: `${entity}.${column}`,
      reason:
        'new rows come without it: at the source it is generated, was renamed or dropped, or is yet to be added. What is stored of it stays as it was; for what the source would have to send again: forebay replay --snapshot',
    })
  }
}
