import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from './find.ts'
import { classPath, installJava, jvm } from './jars.ts'

/** Java and the jars of Kafka's own tools, installed if need be; undefined where they can't be had. */
export const javaTools = async (): ReturnType<typeof classPath> =>
  (await classPath('tools')) ?? ((await installJava()) ? classPath('tools') : undefined)

/** Kafka's own producer sends so many records, each one of the lines, many in a batch. */
export const produceByJava = async (
  { java, jars }: NonNullable<Awaited<ReturnType<typeof javaTools>>>,
  options: {
    readonly brokers: readonly string[]
    readonly topic: string
    readonly compression: string
    readonly lines: readonly string[]
    readonly count: number
  },
): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'forebay-producer-'))
  try {
    const payloads = join(folder, 'lines')
    await writeFile(payloads, options.lines.join('\n'))
    const properties = [
      `bootstrap.servers=${options.brokers.join()}`,
      `compression.type=${options.compression}`,
      'acks=all',
      // So that batches are longer than any codec's block.
      'batch.size=500000',
      'linger.ms=300',
    ]
    await run(
      java,
      [
        ...(await jvm(jars, '128m', folder)),
        'org.apache.kafka.tools.ProducerPerformance',
        ...['--topic', options.topic, '--num-records', String(options.count), '--throughput', '-1'],
        ...['--payload-file', payloads, '--producer-props', ...properties],
      ],
      { timeout: 60_000 },
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
