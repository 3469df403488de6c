/** The form of a command line: verbs, their options, help, and what counts as wrong use. */
import { parseArgs } from 'node:util'
import type { Config, Needs } from '../platform/config.ts'

export type Option = {
  readonly type: 'string' | 'boolean'
  readonly multiple?: boolean
  readonly help: string
  /** How the value is called in help: `--role ROLE`. */
  readonly value?: string
}
export type Values = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>
export type Input = {
  readonly config: Config
  readonly positionals: readonly string[]
  text(option: string): string | undefined
  texts(option: string): readonly string[]
  flag(option: string): boolean
}
export type Verb = {
  readonly name: string
  readonly summary: string
  /** What stands behind the verb: `list | show <id>`. */
  readonly operands?: string
  readonly options?: Readonly<Record<string, Option>>
  readonly needs?: Needs
  /** Returns the exit code. Absent: not running yet. */
  readonly run?: (input: Input) => Promise<number>
}

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {}

const help: Option = { type: 'boolean', help: 'Show this.' }

/** Splits the arguments of a verb. Throws UsageError on what it doesn't know. */
export const readArguments = (verb: Verb, args: readonly string[]): Omit<Input, 'config'> => {
  const options = Object.fromEntries(
    Object.entries({ ...verb.options, help }).map(([name, { type, multiple = false }]) => [name, { type, multiple }]),
  )
  const { values, positionals } = parsed(() =>
    parseArgs({ args: [...args], options, allowPositionals: true, strict: true }),
  )
  if (positionals.length > 0 && !verb.operands)
    throw new UsageError(`forebay ${verb.name} takes no ${JSON.stringify(positionals[0])}`)
  const texts = (option: string) =>
    [(values as Values)[option] ?? []].flat().filter((value) => typeof value === 'string')
  return { positionals, texts, text: (option) => texts(option)[0], flag: (option) => values[option] === true }
}

const parsed = <T>(parse: () => T): T => {
  try {
    return parse()
  } catch (error) {
    // Node adds advice about `--` after the first sentence.
    throw new UsageError(error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error))
  }
}

/** An option's whole number, undefined when it isn't given. */
export const whole = (input: Input, option: string): number | undefined => {
  const text = input.text(option)
  if (text === undefined) return undefined
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--${option} ${text}: write a whole number`)
  return Number(text)
}

/** What `read` makes of an option's text; its complaint is one about usage. */
export const usage = <T>(read: () => T): T => {
  try {
    return read()
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

/** One line on standard output. */
export const print = (text: string): void => void process.stdout.write(`${text}\n`)

/** The verb of that name. Throws UsageError with the nearest name. */
export const findVerb = (verbs: readonly Verb[], name: string): Verb => {
  const verb = verbs.find((candidate) => candidate.name === name)
  if (verb) return verb
  const near = verbs
    .map((candidate) => ({ name: candidate.name, far: distance(name, candidate.name) }))
    .sort((a, b) => a.far - b.far)[0]
  const offer = near && near.far <= 3 ? ` Did you mean ${near.name}?` : ''
  throw new UsageError(`There is no verb ${JSON.stringify(name)}.${offer}`)
}

/** Levenshtein's distance, by rows. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (letter === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length]!
}

/** Help on one verb. */
export const verbHelp = (verb: Verb): string => {
  const lines = Object.entries({ ...verb.options, help }).map(([name, { value = 'VALUE', type, multiple, help }]) => {
    const left = `--${name}${type === 'string' ? ` ${value}` : ''}`
    return `  ${left.padEnd(26)} ${help}${multiple ? ' May be repeated.' : ''}`
  })
  const usage = ['forebay', verb.name, verb.operands, '[options]'].filter(Boolean).join(' ')
  return [`${usage}`, '', `${verb.summary}${verb.run ? '' : ' Not running yet.'}`, '', 'Options:', ...lines].join('\n')
}

/** Help on the whole. */
export const overview = (verbs: readonly Verb[]): string => {
  const line = ({ name, summary }: Verb) => `  ${name.padEnd(11)} ${summary}`
  const running = verbs.filter(({ run }) => run)
  const later = verbs.filter(({ run }) => !run)
  return [
    'forebay <verb> [options]: an operational data store with a GraphQL door',
    '',
    'Verbs (forebay <verb> --help says more):',
    ...running.map(line),
    '',
    'Not running yet:',
    ...later.map(line),
    '',
    'Environment: FOREBAY_SCHEMA (schema), PORT (4000), HOST, DATABASE_URL, DATABASE_READ_URL, KAFKA_BROKERS,',
    '  SCHEMA_REGISTRY_URL, REDIS_URL, JWKS_URL, JWT_ISSUER, JWT_AUDIENCE, FOREBAY_SECRET, FOREBAY_DATA (.forebay), FOREBAY_LOG (info)',
    'Exit: 0 done, 1 failed, 2 wrong use (arguments or environment).',
  ].join('\n')
}
