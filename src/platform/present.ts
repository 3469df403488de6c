type Present<T> = { [K in keyof T]: Exclude<T[K], undefined> }

/** Leaves out what is undefined, so that absent means absent (exactOptionalPropertyTypes). */
export const present = <T extends object>(given: T): Partial<Present<T>> =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<Present<T>>
