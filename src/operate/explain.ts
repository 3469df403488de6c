/** `forebay explain view <View>`: how a view is kept, by which statements and indexes, what a key costs, and what waits. `parked`: which keys fail. */
import { byKey, plans } from '../ingest/session-settings.ts'
import { connect } from '../platform/postgres.ts'
import { withDatabaseUrl } from './database.ts'
import { runParked } from './explain/parked-verb.ts'
import type { Cost } from './explain/plan.ts'
import {
  explainView,
  type NodeReport,
  type PathReport,
  type SearchReport,
  type Statement,
  type ViewReport,
} from './explain/view.ts'
import { keptFor } from './kept-for.ts'
import { readModel } from './read-model.ts'
import { type Input, print, UsageError, whole } from './verb.ts'

export const runExplain = async (input: Input): Promise<number> => {
  const [what, name, ...more] = input.positionals
  if (what === 'parked' && more.length === 0) return runParked(input, name)
  if (what !== 'view' || name === undefined || more.length > 0)
    throw new UsageError('write: forebay explain view <View>, or parked [<View>]')
  const samples = whole(input, 'keys') ?? 3
  const model = await readModel(input.config.schema)
  if (!model.views.has(name))
    throw new UsageError(`${input.config.schema} declares no view ${name}: ${[...model.views.keys()].join(', ')}`)
  return withDatabaseUrl(input.config, async (url) => {
    // As the maintainer's own connection, so that plans are the ones at work.
    const sql = connect(url, { max: 1, name: 'explain', settings: { ...plans, ...byKey } })
    try {
      const report = await explainView(sql, model, name, samples)
      if (input.flag('json')) print(JSON.stringify(report))
      else for (const line of lines(report, input.flag('plans'))) print(line)
      return 0
    } finally {
      await sql.end({ timeout: 1 })
    }
  })
}

const lines = (report: ViewReport, withPlans: boolean): readonly string[] => {
  const { view, of, table, generation, retention } = report
  return [
    `${view}, of ${of}, in ${table}`,
    generation === undefined
      ? '  This definition is not registered yet: start forebay ingest, then ask again for plans and costs.'
      : `  generation ${generation.generation}, ${generation.state}; about ${generation.rows} rows; ${generation.pendingKeys} keys pending${generation.oldestPending === null ? '' : ` since ${generation.oldestPending}`}; ${generation.parkedKeys} keys parked`,
    ...(retention === undefined
      ? []
      : [
          `  rows go ${keptFor(retention.ttlMs)} after ${retention.on}${generation?.floor == null ? '' : `; those before ${generation.floor} are gone`}`,
        ]),
    ...report.nodes.flatMap((node) => nodeLines(node, withPlans)),
    'what callers search it by',
    ...(report.searches.length ? report.searches.map(searchLine) : ['  its primary key alone']),
    'what leads to it',
    ...report.paths.map(pathLine),
    ...(report.beyond.length ? ['what reads more than it shows', ...report.beyond.map((field) => `  ${field}`)] : []),
  ]
}

const nodeLines = ({ node, keeps, tables, statements }: NodeReport, withPlans: boolean): readonly string[] => [
  `node ${node}: ${keeps}`,
  `  tables   ${tables.join(', ')}`,
  ...statements.flatMap((statement) => statementLines(statement, withPlans)),
]

const statementLines = ({ does, sql, plan, costs }: Statement, withPlans: boolean): readonly string[] => [
  `  ${does}`,
  ...(plan === undefined ? [] : [`    indexes  ${plan.indexes.join(', ') || 'none'}`]),
  ...(plan === undefined || plan.whole.length === 0 ? [] : [`    READS ALL OF  ${plan.whole.join(', ')}`]),
  ...(costs === undefined ? [] : [`    a key    ${costs.map(costText).join('; ')}`]),
  ...(withPlans
    ? [...sql.split('\n').map((line) => `    | ${line}`), ...(plan?.text ?? []).map((line) => `    > ${line}`)]
    : []),
]

const searchLine = ({ index, serves, columns, state }: SearchReport): string => {
  if (state === 'unneeded')
    return `  NOT NEEDED by this folder: ${index}; unless another folder runs beside it, drop index concurrently forebay_view."${index}"`
  return `  ${serves}: ${index} (${columns})${state === 'ready' ? '' : ', NOT THERE: ingest makes it when it starts'}`
}

const costText = ({ ms, pages }: Cost): string => `${ms.toFixed(2)} ms, ${pages} pages`

const pathLine = ({ path, from, watched, leadsTo, touches, pending }: PathReport): string => {
  const what = touches === 'ROW' ? 'the whole row' : touches.join(', ') || 'nothing shown'
  const when = watched.length === 0 ? '' : `, if one of ${watched.join(', ')} is another`
  return `  path ${path}: ${from}${when} → ${leadsTo}; touches ${what}; ${pending} keys pending`
}
