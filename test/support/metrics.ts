/** What /metrics of a running process says: the value of each series of a metric, by its labels as they are written there. */
export const series = async (url: string, name: string): Promise<ReadonlyMap<string, number>> => {
  const text = await (await fetch(`${url}/metrics`)).text()
  const found = text.matchAll(new RegExp(`^${name}(?:\\{([^}]*)\\})? (\\S+)$`, 'gm'))
  return new Map([...found].map(([, labels = '', value]) => [labels, value === '+Inf' ? Infinity : Number(value)]))
}
