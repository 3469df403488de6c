/** A service that one test run starts once, when first asked for, and that every test file shares. */
export type SharedService = 'kafka' | 'redis'

/** Where the run's owner of services listens: set by shared-services.ts, inherited by every test process. */
export const variable = 'FOREBAY_TEST_SERVICES'

/** The run's shared service; undefined outside a vitest run (a benchmark, a script). Fails as its start does. */
export async function sharedService(name: SharedService): Promise<string | undefined> {
  const owner = process.env[variable]
  if (owner === undefined) return undefined
  const response = await fetch(`${owner}/${name}`)
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  return text
}
