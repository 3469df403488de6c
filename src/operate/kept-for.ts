/** How long rows are kept, in words. */
export const keptFor = (ms: number): string => (ms % 86_400_000 === 0 ? `${ms / 86_400_000} days` : `${ms / 1000} s`)
