import { afterEach } from 'vitest'

/** Ends what is made, the last first, after each test of the file that made it. Call it where the file, or what it imports, begins. */
export const endAfterEach = (): (<T>(made: T, end: (made: T) => Promise<unknown>) => T) => {
  const ends: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })
  return (made, end) => {
    ends.push(() => end(made))
    return made
  }
}
