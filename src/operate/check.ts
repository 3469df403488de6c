/** `forebay check`: judges a schema folder as a whole, and with `--against` what a registry's schemas give it. */
import { RegistryError } from '../ingest/registry/client.ts'
import { openRegistry } from '../ingest/registry/open.ts'
import { formatFault, loadSchema } from '../model/load.ts'
import type { Model, View } from '../model/model.ts'
import { compileView } from '../model/sql/compile-view.ts'
import type { Sql } from '../platform/postgres.ts'
import type { SchemaRegistry } from '../platform/schema-registry.ts'
import { type Against, checkAgainst, type Finding } from './check-against.ts'
import { type Cost, costOf } from './check-cost.ts'
import { keptFor } from './kept-for.ts'
import { span } from './replay/progress.ts'

export type CheckOptions = {
  readonly json?: boolean
  /** The registry to judge by. */
  readonly against?: SchemaRegistry
  /** The database to say the cost against: what it takes to bring its views to the folder's. */
  readonly cost?: Sql
}

/**
 * Prints every fault, or what the folder declares. Gives the exit code: 0 when it holds, 1 with faults (of a registry's schemas: with
 * errors), 2 when the registry can't be asked.
 */
export const runCheck = async (folder: string, { json = false, against, cost }: CheckOptions = {}): Promise<number> => {
  const loaded = await loadSchema(folder)
  if (loaded.ok && against) return judgeBy(loaded.model, against, json)
  if (loaded.ok && cost) return sayCost(loaded.model, cost, json)
  if (json) console.log(JSON.stringify(loaded.ok ? { ok: true, ...summary(loaded.model) } : loaded))
  else if (loaded.ok) for (const line of describe(folder, loaded.model)) console.log(line)
  else {
    for (const fault of loaded.faults) console.log(formatFault(fault))
    console.log(`${loaded.faults.length} ${loaded.faults.length === 1 ? 'fault' : 'faults'} in ${folder}`)
  }
  return loaded.ok ? 0 : 1
}

const sayCost = async (model: Model, sql: Sql, json: boolean): Promise<number> => {
  const costs = await costOf(sql, model)
  if (json) console.log(JSON.stringify({ ok: true, views: costs }))
  else {
    const width = Math.max(0, ...costs.map(({ view }) => view.length))
    for (const cost of costs) {
      console.log(`${cost.view.padEnd(width)}  ${costText(cost)}`)
      for (const what of cost.breaking) console.log(`${''.padEnd(width)}  breaking for clients: ${what}`)
    }
  }
  return 0
}

const costText = ({ kind, keys, seconds }: Cost): string => {
  const time = seconds === null ? 'how long is not known: none was built yet' : `about ${span(seconds)}`
  const work =
    keys === null ? 'its tables are not there yet: forebay migrate' : `${keys.toLocaleString('en')} keys, ${time}`
  switch (kind) {
    case 'nothing':
      return 'nothing'
    case 'return':
      return 'nothing: its definition stands by, and serves at once'
    case 'rebuild':
      return `rebuild of ${work}; what serves goes on meanwhile`
    case 'new':
      return `new: ${work}`
    case 'gone':
      return 'no longer kept once the rollback window has passed'
  }
}

const judgeBy = async (model: Model, registry: SchemaRegistry, json: boolean): Promise<number> => {
  const client = openRegistry(registry)
  try {
    const found = await checkAgainst(model, client)
    const ok = found.findings.every(({ level }) => level !== 'error')
    if (json) console.log(JSON.stringify({ ok, ...found }))
    else for (const line of report(found)) console.log(line)
    return ok ? 0 : 1
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    if (json) console.log(JSON.stringify({ ok: false, reason: error.message }))
    else console.log(`Nothing was judged: ${error.message}`)
    return 2
  } finally {
    client.close()
  }
}

const report = ({ findings, subjects, unregistered }: Against): readonly string[] => {
  const count = (level: Finding['level']): number => findings.filter((finding) => finding.level === level).length
  const by = ({ subject, version, schema }: Finding): string =>
    subject === undefined ? '' : ` in ${subject} version ${version} (schema ${schema})`
  return [
    ...findings.map((finding) => {
      const problem = `${finding.level}: ${finding.coordinate} ${finding.problem}${by(finding)}`
      return formatFault({ ...finding, problem })
    }),
    ...(unregistered.length > 0 ? [`Not judged, as their format names no schema: ${unregistered.join(', ')}`] : []),
    `${count('error')} errors, ${count('warning')} warnings by ${subjects.length} subjects`,
  ]
}

const summary = (model: Model) => ({
  entities: model.entities.size,
  views: [...model.views.values()].map((view) => ({
    name: view.name,
    of: view.of,
    key: keyOf(model, view),
    readers: view.allow.roles ?? model.roles,
  })),
  parts: model.parts.size,
  roles: model.roles,
  retentions: retentions(model),
  viewRetentions: viewRetentions(model),
})

/** Views whose own rows are kept for a time. */
const viewRetentions = (model: Model) =>
  [...model.views.values()].flatMap(({ name, retention }) =>
    retention === undefined ? [] : [{ view: name, ttlMs: retention.ttlMs, on: retention.on }],
  )

/** Rows that are kept for a time, and the views whose totals shrink as they go. */
const retentions = (model: Model) =>
  [...model.entities.values()].flatMap(({ name, retention }) =>
    retention === undefined
      ? []
      : [
          {
            entity: name,
            ttlMs: retention.ttlMs,
            on: retention.on ?? 'the time of the latest change',
            views: [...model.views.values()]
              .filter((view) =>
                [...compileView(model, view).dependencies.values()].some((read) => read.entity.name === name),
              )
              .map((view) => view.name),
          },
        ],
  )

const keyOf = (model: Model, view: View): readonly string[] => view.groupBy ?? model.entities.get(view.of)?.key ?? []

const describe = (folder: string, model: Model): readonly string[] => {
  const { entities, views, parts, roles } = summary(model)
  const width = Math.max(...views.map(({ name }) => name.length), 0)
  return [
    `${folder} holds: ${entities} entities, ${views.length} views, ${parts} parts, ${roles.length} roles`,
    ...views.map(
      ({ name, of, key, readers }) =>
        `  ${name.padEnd(width)}  of ${of} by ${key.join(', ')}; read by ${readers.join(', ')}`,
    ),
    ...retentions(model).map(
      ({ entity, ttlMs, on, views: shrinking }) =>
        `note: rows of ${entity} go ${keptFor(ttlMs)} after ${on}; ${shrinking.length === 0 ? 'no view reads them' : `totals of ${shrinking.join(', ')} shrink with them`}`,
    ),
    ...viewRetentions(model).map(
      ({ view, ttlMs, on }) =>
        `note: rows of ${view} go ${keptFor(ttlMs)} after ${on}, and late changes don't bring them back; what they are of stays`,
    ),
  ]
}
