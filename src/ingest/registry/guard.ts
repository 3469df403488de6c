/** A registry that is away is asked by one caller at a time, after a pause; all others are refused at once, with the reason. */
import { createBreaker } from '../../platform/breaker.ts'
import { type RegistryClient, RegistryError } from './client.ts'

export type GuardedRegistry = RegistryClient & {
  /** Why it is not asked now; undefined: it is. */
  trouble(): string | undefined
}

/** `place`: its hosts, for the log. */
export const guardRegistry = (client: RegistryClient, place: string): GuardedRegistry => {
  const breaker = createBreaker({ dependency: 'schema-registry', place, longestMs: 2_000 })
  let last = ''
  const trouble = (): string | undefined =>
    breaker.state() === 'CLOSED' ? undefined : `${last}; it is asked again after a pause`
  const guarded = async <T>(ask: () => Promise<T>): Promise<T> => {
    const answer = await breaker.attempt(
      async () => ({ is: await ask() }),
      Promise.resolve(),
      (error) => {
        const isAway = error instanceof RegistryError && error.kind === 'away'
        if (isAway) last = error.message
        return isAway
      },
    )
    if (answer === undefined) throw new RegistryError('away', trouble() ?? last)
    return answer.is
  }
  return {
    schema: (ref) => guarded(() => client.schema(ref)),
    latest: (subject) => guarded(() => client.latest(subject)),
    subjects: () => guarded(() => client.subjects()),
    close: client.close,
    trouble,
  }
}
