import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { installDebian, onPath, run } from './find.ts'

/**
 * The class path of what `maven/<name>.pom.xml` names, downloaded once to ~/.cache/forebay (XDG_CACHE_HOME), a folder a
 * version of the pom. Undefined where there is neither Java and Maven nor the right to install them.
 */
export async function classPath(
  name: 'kafka' | 'connect' | 'tools' | 'jdbc-sink' | 'flink',
): Promise<{ java: string; jars: string } | undefined> {
  const pom = join(import.meta.dirname, 'maven', `${name}.pom.xml`)
  const hash = createHash('sha256')
    .update(await readFile(pom))
    .digest('hex')
    .slice(0, 12)
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'forebay')
  const folder = join(cache, `${name}-${hash}`)
  const cached = await stat(folder).then(
    () => true,
    () => false,
  )
  const java = await onPath('java')
  if (java === undefined) return undefined
  if (!cached) {
    const maven = await onPath('mvn')
    if (maven === undefined) return undefined
    await mkdir(cache, { recursive: true })
    const partial = await mkdtemp(`${folder}.partial-`)
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${partial}`]
    await run(maven, ['-B', '-q', '-f', pom, ...goal], { timeout: 600_000 })
    // Two runs may download at once: the first rename wins, both copies are equal.
    await rename(partial, folder).catch(() => rm(partial, { recursive: true }))
  }
  return { java, jars: join(folder, '*') }
}

/** Java and Maven as Debian packages; says whether they could be installed. */
export const installJava = (): Promise<boolean> => installDebian(['default-jre-headless', 'maven'])

/**
 * Arguments of every JVM the tests start, up to its class: small, and quick to be ready rather than fast for long. What it
 * logs is warnings on its output, by a file in `folder`.
 */
export async function jvm(jars: string, heap: string, folder: string): Promise<string[]> {
  const logging = await loggingFile(folder)
  const flags = ['-Xms64m', `-Xmx${heap}`, '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData']
  return [...flags, logging, '-cp', jars]
}

/** The same of one that is measured: it compiles all it can, and its heap is there from the start. */
export async function fastJvm(jars: string, heap: string, folder: string): Promise<string[]> {
  return [`-Xms${heap}`, `-Xmx${heap}`, '-XX:+UseParallelGC', await loggingFile(folder), '-cp', jars]
}

async function loggingFile(folder: string): Promise<string> {
  const appender = 'appender.0.type=Console\nappender.0.name=out\n'
  const logging = join(folder, 'log4j2.properties')
  await writeFile(logging, `rootLogger.level=warn\nrootLogger.appenderRef.0.ref=out\n${appender}`)
  return `-Dlog4j2.configurationFile=${logging}`
}

/** Settings by name, as Kafka's programs read them and as its images take them from the environment. */
export type Settings = Readonly<Record<string, string | number>>

export async function propertiesFile(folder: string, settings: Settings): Promise<string> {
  const path = join(folder, 'settings.properties')
  await writeFile(
    path,
    Object.entries(settings).map(([name, value]) => `${name}=${value}\n`),
  )
  return path
}

export const dockerEnvironment = (prefix: string, settings: Settings): string[] =>
  Object.entries(settings).flatMap(([name, value]) => [
    '-e',
    `${prefix}_${name.replaceAll('.', '_').toUpperCase()}=${value}`,
  ])
