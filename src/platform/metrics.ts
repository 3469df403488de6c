/** Counters, gauges and histograms, in one registry that /metrics prints. Labels are names of things, never keys or people. */
import prom from 'prom-client'

const registry = new prom.Registry()
let processMetrics = false

type Spec<L extends string> = { readonly name: string; readonly help: string; readonly labels?: readonly L[] }
const options = <L extends string>({ name, help, labels = [] }: Spec<L>) => ({
  name,
  help,
  labelNames: [...labels],
  registers: [registry],
})

/** The metric of that name, made at the first call. Names start with `forebay_`; counters end in `_total`. */
export const counter = <L extends string = never>(spec: Spec<L>): prom.Counter<L> =>
  (registry.getSingleMetric(spec.name) as prom.Counter<L> | undefined) ?? new prom.Counter(options(spec))

const tallies = new Map<string, Readonly<Record<string, { count: number }>>>()
/** A counter by one label, for what happens so often that counting must cost nothing: `count` is read when metrics are. */
export const tally = <V extends string>(
  { name, help, label }: { readonly name: string; readonly help: string; readonly label: string },
  values: readonly V[],
): Readonly<Record<V, { count: number }>> => {
  const known = tallies.get(name)
  if (known) return known as Readonly<Record<V, { count: number }>>
  const made = Object.fromEntries(values.map((value) => [value, { count: 0 }])) as Record<V, { count: number }>
  new prom.Counter({
    ...options({ name, help, labels: [label] }),
    collect() {
      this.reset()
      for (const value of values) this.inc({ [label]: value }, made[value].count)
    },
  })
  tallies.set(name, made)
  return made
}

/** As `counter`, for what goes up and down. */
export const gauge = <L extends string = never>(spec: Spec<L>): prom.Gauge<L> =>
  (registry.getSingleMetric(spec.name) as prom.Gauge<L> | undefined) ?? new prom.Gauge(options(spec))

/** As `counter`, for durations in seconds unless `buckets` say otherwise; these reach from 1 ms to 10 s. */
export const histogram = <L extends string = never>(
  spec: Spec<L> & { readonly buckets?: readonly number[] },
): prom.Histogram<L> =>
  (registry.getSingleMetric(spec.name) as prom.Histogram<L> | undefined) ??
  new prom.Histogram({
    ...options(spec),
    buckets: [...(spec.buckets ?? [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10])],
  })

/** Everything in Prometheus's text format, the process's own figures included. */
export const metricsText = async (): Promise<{ readonly contentType: string; readonly text: string }> => {
  if (!processMetrics) prom.collectDefaultMetrics({ register: registry })
  processMetrics = true
  return { contentType: registry.contentType, text: await registry.metrics() }
}
