/** A table for people and one JSON line for machines. */
export type Figure = { readonly name: string; readonly value: number; readonly unit: string; readonly against?: string }

export const report = (bench: string, figures: readonly Figure[]): void => {
  const width = Math.max(...figures.map(({ name }) => name.length))
  for (const { name, value, unit, against } of figures) {
    const shown = value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2)
    process.stdout.write(`${name.padEnd(width)}  ${shown.padStart(10)} ${unit}${against ? `   ${against}` : ''}\n`)
  }
  process.stdout.write(`${JSON.stringify({ bench, at: new Date().toISOString(), figures })}\n`)
}

export const quantile = (values: readonly number[], q: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}
