#!/usr/bin/env node
import {
  findVerb,
  type Input,
  overview,
  print,
  readArguments,
  UsageError,
  usage,
  type Verb,
  verbHelp,
  whole,
} from './operate/verb.ts'
/** `forebay <verb>`. What a verb needs is loaded when it runs, so that `--help` and `token` are quick. */
import { type Config, ConfigError, readConfig } from './platform/config.ts'
import { dieOnUncaught } from './platform/lifetime.ts'
import { log } from './platform/log.ts'
import { present } from './platform/present.ts'
import { registryUrls } from './platform/schema-registry.ts'

const json = { type: 'boolean', help: 'Print JSON.' } as const
const answering = { production: ['JWKS_URL', 'FOREBAY_SECRET'] } as const
const onlyTrusted = {
  'only-trusted': { type: 'boolean', help: 'Answer nothing but the documents of FOREBAY_TRUSTED_DOCUMENTS.' },
} as const
const answeringConfig = ({ config, flag }: Input): Config => {
  if (!flag('only-trusted')) return config
  if (!config.trustedDocuments) throw new UsageError('--only-trusted: set FOREBAY_TRUSTED_DOCUMENTS to what is trusted')
  return { ...config, onlyTrusted: true }
}
const alone = { always: ['DATABASE_URL'] } as const

const verbs: readonly Verb[] = [
  {
    name: 'start',
    summary: 'Runs both halves in one process; without DATABASE_URL on an embedded Postgres.',
    options: onlyTrusted,
    needs: answering,
    run: async (input) =>
      (await import('./operate/start.ts')).runStart(answeringConfig(input), { ingest: true, gateway: true }),
  },
  {
    name: 'ingest',
    summary: 'Runs the half that follows the sources and keeps the views.',
    needs: alone,
    run: async ({ config }) => (await import('./operate/start.ts')).runStart(config, { ingest: true, gateway: false }),
  },
  {
    name: 'gateway',
    summary: 'Runs the half that answers queries.',
    options: onlyTrusted,
    needs: { ...alone, ...answering },
    run: async (input) =>
      (await import('./operate/start.ts')).runStart(answeringConfig(input), { ingest: false, gateway: true }),
  },
  {
    name: 'demo',
    summary: 'Runs both halves on a simulated source, with tokens and a first query to paste.',
    options: {
      rate: { type: 'string', value: 'N', help: 'Changes a second (50).' },
      seed: { type: 'string', value: 'N', help: 'Seed of the simulation (1).' },
      size: { type: 'string', value: 'SIZE', help: 'How much data to begin with: tiny, small or large (small).' },
      'no-faults': { type: 'boolean', help: 'Without the duplicates, late changes and bad records of a real source.' },
      fresh: { type: 'boolean', help: 'Throw away what an earlier demo left.' },
    },
    run: async (input) => {
      const options = demoOptions(input)
      return (await import('./operate/demo.ts')).runDemo(input.config, options)
    },
  },
  {
    name: 'check',
    summary: 'Judges the schema folder and names every fault with its place.',
    operands: '[folder]',
    options: {
      against: {
        type: 'string',
        value: 'URL',
        help: "Judges by the latest schemas of this registry instead, with the environment's credentials.",
      },
      cost: {
        type: 'boolean',
        help: 'Says instead what the folder costs the database: nothing, a rebuild of so many keys, what breaks for clients.',
      },
      json,
    },
    run: async ({ config, positionals: [folder = config.schema], flag, text }) => {
      const url = text('against')
      const urls = usage(() => registryUrls(url))
      const against = urls && { ...config.schemaRegistry, urls }
      const { runCheck } = await import('./operate/check.ts')
      if (!flag('cost')) return runCheck(folder, { json: flag('json'), ...present({ against }) })
      if (against) throw new UsageError('check: write --against or --cost')
      const { withDatabase } = await import('./operate/database.ts')
      return withDatabase(config, 'check', (cost) => runCheck(folder, { json: flag('json'), cost }))
    },
  },
  {
    name: 'migrate',
    summary: 'Brings the database to the schema by the committed migrations.',
    options: {
      generate: { type: 'boolean', help: 'Write the next migration instead, for review.' },
      name: { type: 'string', value: 'NAME', help: 'What to call it.' },
      'allow-drop': { type: 'boolean', help: 'Apply migrations that take data away.' },
      json,
    },
    run: async (input) => {
      const { runMigrate } = await import('./operate/migrate.ts')
      const options = {
        schemaFolder: input.config.schema,
        json: input.flag('json'),
        allowDrop: input.flag('allow-drop'),
        ...present({ name: input.text('name') }),
      }
      if (input.flag('generate')) return runMigrate({ ...options, generate: true })
      const { withDatabaseUrl } = await import('./operate/database.ts')
      return withDatabaseUrl(input.config, (databaseUrl) => runMigrate({ ...options, databaseUrl }))
    },
  },
  {
    name: 'sdl',
    summary: 'Prints the GraphQL schema as some roles see it.',
    options: {
      role: { type: 'string', multiple: true, value: 'ROLE', help: 'A role that a token carries.' },
      scope: { type: 'string', multiple: true, value: 'SCOPE', help: 'A scope that it carries.' },
      typed: { type: 'boolean', help: 'With scalars Masked and Tokenized, for generated types.' },
      json: { type: 'boolean', help: 'Print what introspection says.' },
    },
    run: async (input) => (await import('./operate/sdl.ts')).runSdl(input),
  },
  {
    name: 'token',
    summary: 'Prints a development token.',
    options: {
      role: { type: 'string', multiple: true, value: 'ROLE', help: 'A role it carries.' },
      tenant: { type: 'string', value: 'TENANT', help: 'The tenant it speaks for.' },
      sub: { type: 'string', value: 'SUBJECT', help: 'Whose it is (developer).' },
      scope: { type: 'string', multiple: true, value: 'SCOPE', help: 'A scope it carries.' },
      claim: {
        type: 'string',
        multiple: true,
        value: 'NAME=VALUE',
        help: 'A further claim; with commas it is a list.',
      },
      ttl: { type: 'string', value: 'DURATION', help: 'How long it lasts (PT8H).' },
    },
    run: async (input) => (await import('./operate/token.ts')).runToken(input),
  },
  {
    name: 'replay',
    summary: 'Reads the log of an entity once more while serving, or starts a new epoch of a topic.',
    options: {
      entity: {
        type: 'string',
        value: 'ENTITY',
        help: 'Writes its rows anew where the log means something else by now.',
      },
      from: {
        type: 'string',
        multiple: true,
        value: 'WHERE',
        help: 'earliest; a position (orders-2-1500: that partition); a moment; how long ago (PT2H).',
      },
      snapshot: { type: 'boolean', help: 'Have the source read its table anew, for what the log does not hold.' },
      'signal-topic': { type: 'string', value: 'TOPIC', help: "--snapshot: Debezium's signal.kafka.topic." },
      'signal-table': { type: 'string', value: 'TABLE', help: "--snapshot: Debezium's signal.data.collection." },
      connection: {
        type: 'string',
        value: 'NAME',
        help: '--signal-table: in the database of FOREBAY_CONNECTION_<NAME>.',
      },
      prefix: {
        type: 'string',
        value: 'PREFIX',
        help: "--snapshot: the connector's topic.prefix, where no record says it.",
      },
      table: { type: 'string', value: 'TABLE', help: '--snapshot: the table as the connector calls it, likewise.' },
      detach: { type: 'boolean', help: 'Ask for it and return. It also goes on after Ctrl-C.' },
      list: { type: 'boolean', help: 'Show all replays.' },
      status: { type: 'string', value: 'ID', help: 'Show one.' },
      cancel: { type: 'string', value: 'ID', help: 'End one. What it has written stays.' },
      'new-epoch': {
        type: 'string',
        value: 'TOPIC',
        help: 'After its source was restored or replaced: changes from here on replace all before. --from OFFSET: go on reading there.',
      },
      partition: { type: 'string', value: 'N', help: '--new-epoch: only this partition.' },
      json,
    },
    run: async (input) => (await import('./operate/replay.ts')).runReplay(input),
  },
  {
    name: 'quarantine',
    summary: 'Shows the records that could not be decoded or applied, applies them after a fix, or gives them up.',
    operands: 'list | show <id> | redrive [<id>…] | drop <id>… --reason TEXT',
    options: {
      entity: { type: 'string', value: 'ENTITY', help: 'list, redrive: only of this entity.' },
      topic: { type: 'string', value: 'TOPIC', help: 'list, redrive: only of this topic.' },
      state: {
        type: 'string',
        value: 'STATE',
        help: 'list: PARKED, WAITING, SUPERSEDED, REDRIVEN, DROPPED or ALL (the first two).',
      },
      all: { type: 'boolean', help: 'redrive: everything that is held.' },
      reason: {
        type: 'string',
        value: 'TEXT',
        help: 'drop: why; kept in forebay.audit with who and when. No personal data.',
      },
      limit: { type: 'string', value: 'N', help: 'list: at most so many (100).' },
      values: { type: 'boolean', help: 'show: with key and value, which may be personal data.' },
      json,
    },
    run: async (input) => (await import('./operate/quarantine.ts')).runQuarantine(input),
  },
  {
    name: 'rebuild',
    summary: 'Shows what is built; builds a view anew beside the one that serves, or goes back to what served before.',
    operands: '[View]',
    options: {
      rollback: { type: 'string', value: 'VIEW', help: 'Serve what served before again, at once, while it stands by.' },
      wait: { type: 'boolean', help: 'Return once what is built serves. It also goes on after Ctrl-C.' },
      json,
    },
    run: async (input) => (await import('./operate/rebuild.ts')).runRebuild(input),
  },
  {
    name: 'reconcile',
    summary:
      'Shows how views stand against their definitions, and entities against their source databases; or compares them now.',
    operands: '[View|Entity]',
    options: {
      now: {
        type: 'boolean',
        help: 'Compare everything, or the one that is named, from its first key to its last, and wait. Exit 1 where drift was found; it is repaired.',
      },
      json,
    },
    run: async (input) => (await import('./operate/reconcile.ts')).runReconcile(input),
  },
  {
    name: 'explain',
    summary:
      'Says how a view is kept: statements, plans, indexes, what a key costs, what leads to it and what waits; or which keys fail, and why.',
    operands: 'view <View> | parked [<View>]',
    options: {
      keys: {
        type: 'string',
        value: 'N',
        help: 'view: keys of each node to measure (3), in transactions that are taken back.',
      },
      plans: { type: 'boolean', help: "view: with each statement's SQL and Postgres's plan of it." },
      limit: { type: 'string', value: 'N', help: 'parked: at most so many (100).' },
      json,
    },
    run: async (input) => (await import('./operate/explain.ts')).runExplain(input),
  },
  { name: 'erase', summary: 'Erases a person.' },
  { name: 'archive', summary: 'Moves old data out.' },
]
const sizes = ['tiny', 'small', 'large'] as const
const demoOptions = (input: Input) => {
  const size = input.text('size')
  const known = sizes.find((name) => name === size)
  if (size !== known) throw new UsageError(`--size ${size}: write ${sizes.join(', ')}`)
  return {
    faults: !input.flag('no-faults'),
    fresh: input.flag('fresh'),
    ...present({ rate: whole(input, 'rate'), seed: whole(input, 'seed'), size: known }),
  }
}

const complain = (text: string): void => void process.stderr.write(`${text}\n`)

const main = async ([name, ...args]: readonly string[]): Promise<number> => {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    if (name === 'help' && args[0] !== undefined) print(verbHelp(findVerb(verbs, args[0])))
    else (name === undefined ? complain : print)(overview(verbs))
    return name === undefined ? 2 : 0
  }
  const verb = findVerb(verbs, name)
  if (args.includes('--help') || args.includes('-h')) {
    print(verbHelp(verb))
    return 0
  }
  if (!verb.run) {
    complain(`forebay ${name} is not running yet.`)
    return 2
  }
  const input = readArguments(verb, args)
  return verb.run({ ...input, config: readConfig(process.env, verb.needs) })
}

/** A pipe takes its time, and what it has not taken when the process exits is gone. */
const printed = (): Promise<void> => new Promise((done) => process.stdout.write('', () => done()))

dieOnUncaught()
try {
  const code = await main(process.argv.slice(2))
  await printed()
  process.exit(code)
} catch (error) {
  const wrongUse = error instanceof UsageError || error instanceof ConfigError
  log.debug('verb failed', { error })
  complain(error instanceof Error ? error.message : String(error))
  if (error instanceof UsageError) complain('forebay --help lists the verbs; forebay <verb> --help its options.')
  process.exit(wrongUse ? 2 : 1)
}
