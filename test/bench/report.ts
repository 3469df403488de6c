/** A table for people and one JSON line for machines. */
export type Figure = { readonly name: string; readonly value: number; readonly unit: string; readonly against?: string }

/** What a ratio must come to. */
export type Goal = {
  readonly name: string
  readonly value: number
  readonly least?: number
  readonly most?: number
}
const isReached = ({ value, least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY }: Goal): boolean =>
  value >= least && value <= most

export const report = (bench: string, figures: readonly Figure[], goals: readonly Goal[] = []): void => {
  const width = Math.max(...figures.map(({ name }) => name.length))
  for (const { name, value, unit, against } of figures) {
    const shown = value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2)
    process.stdout.write(`${name.padEnd(width)}  ${shown.padStart(10)} ${unit}${against ? `   ${against}` : ''}\n`)
  }
  for (const goal of goals) {
    const { name, value, least, most } = goal
    const asked = least === undefined ? `at most ${most}` : `at least ${least}`
    process.stdout.write(`${isReached(goal) ? 'reached    ' : 'NOT reached'}  ${name}: ${value.toFixed(2)}, ${asked}\n`)
  }
  const judged = goals.map((goal) => ({ ...goal, reached: isReached(goal) }))
  process.stdout.write(`${JSON.stringify({ bench, at: new Date().toISOString(), figures, goals: judged })}\n`)
}

export const quantile = (values: readonly number[], q: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}
