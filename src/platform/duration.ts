/** Milliseconds of an ISO 8601 duration of weeks, days, hours, minutes and whole seconds, as Postgres reads it too; undefined for anything else. */
export const durationMs = (text: string): number | undefined => {
  const match = /^P(?=\d|T\d)(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/.exec(text)
  if (match === null) return undefined
  const seconds = [604_800, 86_400, 3_600, 60, 1]
  return seconds.reduce((total, unit, n) => total + unit * 1_000 * Number(match[n + 1] ?? 0), 0)
}
