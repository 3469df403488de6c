/** Why a migration is not done, in words for the operator: what was wrong, where, what to do. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
}

/** Throws where there are items, each on its own line between the problem and the remedy. */
export const refuseAny = (problem: string, items: readonly string[], remedy: string): void => {
  if (items.length > 0) throw new Refusal([`${problem}:`, ...items.map((item) => `  ${item}`), remedy].join('\n'))
}
