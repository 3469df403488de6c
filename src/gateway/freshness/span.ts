/** How long: `5s`, `500ms`, `1.5m`, `1h`, or ISO 8601 (`PT5S`, `P1D`; no months or years, which have no fixed length). */

export const spanSyntax = /^(\d{1,9}(\.\d{1,6})?(ms|s|m|h)|P(?=.)(\d+W|(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?))$/

const plain: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
const letters = { W: 604_800_000, D: 86_400_000, H: 3_600_000, M: 60_000, S: 1_000 } as const

/** Milliseconds; undefined where it is none. */
export const spanMs = (text: string): number | undefined => {
  if (!spanSyntax.test(text)) return undefined
  const short = /^([\d.]+)(ms|s|m|h)$/.exec(text)
  if (short) return Number(short[1]) * plain[short[2]!]!
  const found = [...text.matchAll(/([\d.]+)([WDHMS])/g)]
  return found.reduce((total, [, number, unit]) => total + Number(number) * letters[unit as keyof typeof letters], 0)
}
