/**
 * Equal statements that are under way at once are one: equal text and values are equal rows, since tenant, row rules and claims stand in
 * them, and masks come after. Only those of one snapshot: what a request says of its rows' freshness is that they were read later
 * than it. Cancelled when all who wait for it are gone.
 */
import type { Statement } from './row-sql.ts'
import type { Run } from './statements.ts'
import { left } from './turns.ts'

type Flight = { readonly rows: Promise<readonly object[]>; readonly leave: () => void; join(): void }

/** `snapshot`: that by which the request's freshness is told; undefined: nothing is shared. */
export const createFlights = (run: Run): ((snapshot: object | undefined) => Run) => {
  const underWay = new WeakMap<object, Map<string, Flight>>()

  const begin = (flights: Map<string, Flight>, name: string, statement: Statement, prepare: boolean): Flight => {
    const end = new AbortController()
    let waiting = 0
    const gone = () => {
      if (flights.get(name) === flight) flights.delete(name)
    }
    const flight: Flight = {
      rows: run<object>(statement, prepare, end.signal).finally(gone),
      join: () => {
        waiting += 1
      },
      leave: () => {
        waiting -= 1
        if (waiting > 0) return
        gone()
        end.abort()
      },
    }
    // Where all have left nobody hears how it ends.
    flight.rows.catch(() => {})
    flights.set(name, flight)
    return flight
  }

  return (snapshot) => {
    if (!snapshot) return run
    const flights = underWay.get(snapshot) ?? new Map<string, Flight>()
    underWay.set(snapshot, flights)
    return async <Row extends object>(statement: Statement, prepare: boolean, signal?: AbortSignal) => {
      if (signal?.aborted) throw left()
      const name = JSON.stringify([statement.text, statement.values])
      const flight = flights.get(name) ?? begin(flights, name, statement, prepare)
      flight.join()
      if (!signal) return (await flight.rows) as readonly Row[]
      let away = (): void => {}
      const aborted = new Promise<never>((_, refuse) => {
        away = () => {
          flight.leave()
          refuse(left())
        }
        signal.addEventListener('abort', away)
      })
      try {
        return (await Promise.race([flight.rows, aborted])) as readonly Row[]
      } finally {
        signal.removeEventListener('abort', away)
      }
    }
  }
}
