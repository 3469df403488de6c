/**
 * Rows by a looked-up value, of all requests at once: values asked for in one turn of the event loop, of one field, tenant and set of
 * fields to read, go out as one statement. What is bound by row rules is asked for by its request alone.
 */
import DataLoader from 'dataloader'
import { LRUCache } from 'lru-cache'
import type { Field } from '../../model/model.ts'
import { readRows } from './rolling.ts'
import { lookupStatement, type Reading, type StoredRow } from './row-sql.ts'
import type { Run } from './statements.ts'

/** At most two rows for a value: a second one is an error. */
type Loader = DataLoader<string, readonly StoredRow[]>
export type LookupLoads = {
  /** For every request that reads so. */
  shared(reading: Reading, field: Field): Loader
  /** For one request. */
  own(reading: Reading, field: Field): Loader
}

const maxLoaders = 1_000
const maxValues = 1_000

export const createLookupLoads = (run: Run): LookupLoads => {
  const own = (reading: Reading, field: Field): Loader =>
    new DataLoader<string, readonly StoredRow[]>(
      async (asked) => {
        const values = [...new Set(asked)]
        const statementOf = (one: Reading) => lookupStatement(one, field, values)
        const found = new Map<string, StoredRow[]>(values.map((value) => [value, []]))
        for (const row of await readRows<StoredRow & { position: number }>(run, reading, statementOf, true))
          found.get(values[row.position - 1]!)!.push(row)
        return asked.map((value) => found.get(value)!)
      },
      { cache: false, maxBatchSize: maxValues, batchScheduleFn: (dispatch) => setImmediate(dispatch) },
    )
  const known = new LRUCache<string, Loader>({ max: maxLoaders })
  return {
    own,
    shared: (reading, field) => {
      const { table, tenant, held, fields } = reading
      const signature = JSON.stringify([table.hash, field.name, tenant, held, ...fields])
      const found = known.get(signature) ?? own(reading, field)
      known.set(signature, found)
      return found
    },
  }
}
