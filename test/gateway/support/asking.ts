import { setTimeout as sleep } from 'node:timers/promises'
import { metricsText } from '../../../src/platform/metrics.ts'

export const until = async (check: () => Promise<boolean>): Promise<void> => {
  const deadline = Date.now() + 40_000
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error('it did not come to pass in 40 s')
    await sleep(20)
  }
}

/** Of the gateway that runs in this very process. */
export const ownMetric = async (name: string): Promise<number> => {
  const { text } = await metricsText()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}

/** The same of every series of a metric, by its labels as they are written. */
export const metricValues = async (name: string): Promise<ReadonlyMap<string, number>> => {
  const { text } = await metricsText()
  return new Map(
    [...text.matchAll(new RegExp(`^${name}\\{(.*)\\} (\\S+)$`, 'gm'))].map(([, labels, value]) => [
      labels!,
      Number(value),
    ]),
  )
}
