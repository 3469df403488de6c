/** `forebay check --against`: what a registry's latest schemas say of each entity, judged as records would be, before anything is deployed. */
import { eventSchema } from '../ingest/decode/cloud-event.ts'
import { rowInEnvelope } from '../ingest/decode/debezium.ts'
import type { ConnectSchema } from '../ingest/decode/document.ts'
import { rowInEvent } from '../ingest/decode/event.ts'
import { type Fit, find, judge } from '../ingest/decode/fit.ts'
import type { Needed } from '../ingest/decode/misfit.ts'
import { schemaOf } from '../ingest/decode/registered.ts'
import { schemaAt } from '../ingest/decode/row.ts'
import { asWritten, isRegistered, neededBy } from '../ingest/decode.ts'
import type { Latest, RegistryClient } from '../ingest/registry/client.ts'
import { compileSchema, subjectsOf } from '../ingest/registry/schemas.ts'
import type { Column, Entity, Model, Place } from '../model/model.ts'

/** `error`: deployed so, its entity stops or records of it are bad. `subject`, `version` and `schema` of what was judged by, where there was one. */
export type Finding = {
  readonly level: 'error' | 'warning'
  readonly coordinate: string
  readonly place: Place
  readonly problem: string
  readonly remedy: string
  readonly subject?: string
  readonly version?: number
  readonly schema?: number
}
export type Against = {
  readonly findings: readonly Finding[]
  /** Subjects judged by. */
  readonly subjects: readonly string[]
  /** Entities whose format names no schema, so that there is nothing to judge by. */
  readonly unregistered: readonly string[]
}

/** Throws RegistryError where the registry can't be asked. */
export const checkAgainst = async (model: Model, client: RegistryClient): Promise<Against> => {
  const entities = [...model.entities.values()]
  const registered = entities.filter(({ source }) => isRegistered(source.format))
  const subjects = new Set<string>()
  const findings: Finding[] = []
  const needed = neededBy(model)
  for (const entity of registered) {
    const value = await valueSchema(entity, client)
    if ('found' in value) {
      subjects.add(value.subject)
      findings.push(...judgeValue(entity, model, value, needed))
    } else
      findings.push(at(entity, 'warning', value.unknown, 'Compare it by hand, or name the subject after the topic.'))
    const { key: subject } = subjectsOf(entity.source.topic)
    const key = await client.latest(subject)
    if (key === undefined) continue
    subjects.add(subject)
    findings.push(...judgeKey(entity, model, { subject, found: key }))
  }
  const unregistered = entities.filter((entity) => !registered.includes(entity)).map(({ name }) => name)
  return { findings, subjects: [...subjects].sort(), unregistered }
}

// ── which schema ────────────────────────────────────────────────────────────────────────────────────────────────────
type Subject = { readonly subject: string; readonly found: Latest }

/** By the topic's name; else by its record's, which of a Debezium topic is known. */
const valueSchema = async (entity: Entity, client: RegistryClient): Promise<Subject | { readonly unknown: string }> => {
  const { topic, format } = entity.source
  const record = `${topic}.Envelope`
  const names = [subjectsOf(topic).value, ...(format === 'DEBEZIUM_AVRO' ? [record, `${topic}-${record}`] : [])]
  for (const subject of names) {
    const found = await client.latest(subject)
    if (found) return { subject, found }
  }
  const records = (await client.subjects()).filter((one) => one.startsWith(`${topic}-`) && one !== `${topic}-key`)
  const [only] = records
  if (only !== undefined && records.length === 1) {
    const found = await client.latest(only)
    if (found) return { subject: only, found }
  }
  const others = records.length > 1 ? `, and several by topic and record (${records.join(', ')})` : ''
  return {
    unknown: `can't be judged: the registry has no subject ${names.join(' or ')}${others}; one named after its record alone can't be told`,
  }
}

// ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────────
const judgeValue = (declared: Entity, model: Model, by: Subject, needed: Needed): readonly Finding[] => {
  const known = compileSchema(by.found, String(by.found.id))
  const found = schemaOf(known)
  const schema = found && declared.source.format === 'CLOUDEVENTS_AVRO' ? eventSchema(found) : found
  if (schema === undefined)
    return [
      at(
        declared,
        'error',
        'can not be read by the schema: it is none that a format reads',
        'Mend it in the registry.',
        by,
      ),
    ]
  const { format, each, events } = declared.source
  const entity = asWritten(declared)
  if (format === 'DEBEZIUM_AVRO' && schemaAt(schema, rowInEnvelope.at) === undefined)
    return [
      at(
        declared,
        'error',
        'reads DEBEZIUM_AVRO, but the schema has no after',
        'Declare format AVRO: its records are rows.',
        by,
      ),
    ]
  const rows =
    format === 'DEBEZIUM_AVRO'
      ? [rowInEnvelope]
      : events
        ? events.filter(({ op }) => op !== 'DELETE').map((event) => rowInEvent(format, event))
        : [rowInEvent(format)]
  const fits = rows.flatMap(({ at, placeOf }) => {
    const row = schemaAt(schema, at)
    if (each === undefined) return judge(entity, model.enums, placeOf, [row, schema])
    return judge(entity, model.enums, ({ path }) => ({ kind: 'path', roots: [0, 1], path }), [itemsAt(row, each), row])
  })
  const seen = new Set<string>()
  return [
    ...fits.map((fit) => findingOf(entity, fit, by, needed, model)),
    ...judgeOrder(entity, schema, rows, by),
  ].filter(({ coordinate, problem }) => !seen.has(`${coordinate} ${problem}`) && seen.add(`${coordinate} ${problem}`))
}

const itemsAt = (row: ConnectSchema | undefined, each: readonly string[]): ConnectSchema | undefined => {
  const found = find(row, each)
  return found.kind === 'found' ? found.schema.items : undefined
}

/** Where the version or the event time is missing: without its version every record is bad, without its time the record's stands in. */
const judgeOrder = (
  entity: Entity,
  schema: ConnectSchema,
  rows: readonly { readonly at: readonly string[] }[],
  by: Subject,
): readonly Finding[] => {
  const absent = (path: readonly string[] | undefined): path is readonly string[] =>
    path !== undefined &&
    rows.every((row) => [schemaAt(schema, row.at), schema].every((root) => find(root, path).kind === 'missing'))
  const { version, time } = entity.source
  const findings: Finding[] = []
  if (absent(version))
    findings.push(
      at(entity, 'error', `has no field ${version.join('.')} for its version`, 'Name one that the schema has.', by),
    )
  if (absent(time))
    findings.push(
      at(entity, 'warning', `has no field ${time.join('.')} for its event time`, 'Name one that the schema has.', by),
    )
  return findings
}

const findingOf = (
  entity: Entity,
  { column, kind, problem }: Fit,
  by: Subject,
  needed: Needed,
  model: Model,
): Finding => {
  const key = entity.key.includes(column.name)
  const enumType = column.type.kind === 'enum' ? model.enums.get(column.type.enum) : undefined
  const error =
    kind === 'type' ||
    (kind === 'missing' && (key || column.nonNull || needed(entity.name, column.name))) ||
    (kind === 'symbols' && enumType?.other === undefined)
  return on(entity, column, error ? 'error' : 'warning', problem, remedies[kind], by)
}
const remedies: Readonly<Record<Fit['kind'], string>> = {
  missing: 'Restore the field at the source, say where it is with @column(name:), or remove it here.',
  type: 'Declare the type that the source has.',
  unsaid: 'Name it in the schema, so that it can be judged.',
  doubtful: 'Declare the type that the source has.',
  symbols: 'Declare the values, or one as `@value(other: true)`.',
  nullable: 'Declare it without `!`, or make it required at the source.',
}

// ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────────
/** In a Debezium topic the key is the row's: it must be the entity's. Elsewhere it only may be. */
const judgeKey = (declared: Entity, model: Model, by: Subject): readonly Finding[] => {
  const schema = schemaOf(compileSchema(by.found, String(by.found.id)))
  if (schema === undefined) return []
  const entity = asWritten(declared)
  const columns = entity.columns.filter(({ name }) => entity.key.includes(name))
  const level = declared.source.format === 'DEBEZIUM_AVRO' && declared.source.each === undefined ? 'error' : 'warning'
  const remedy = `Let the entity's key be the record's.`
  if (schema.fields === undefined) {
    if (columns.length === 1 || declared.source.each) return []
    return [
      at(declared, level, `has a key of ${columns.length} fields, the record's is one ${schema.type}`, remedy, by),
    ]
  }
  const ends = columns.map(({ path }) => path.at(-1))
  const lacking = columns.filter(({ path }) => find(schema, path.slice(-1)).kind === 'missing')
  const beyond = schema.fields.filter(({ field }) => !ends.includes(field)).map(({ field }) => field)
  const types = judge(
    { ...entity, columns: columns.filter((column) => !lacking.includes(column)) },
    model.enums,
    ({ path }) => ({ kind: 'path', roots: [0], path: path.slice(-1) }),
    [schema],
  ).filter(({ kind }) => kind === 'type')
  return [
    ...lacking.map((column) => on(entity, column, level, `is a key, which the record's key lacks`, remedy, by)),
    ...(beyond.length > 0 && level === 'error'
      ? [
          at(
            declared,
            level,
            `has rows of one key that the source has several of, by ${beyond.join(', ')} too`,
            remedy,
            by,
          ),
        ]
      : []),
    ...types.map(({ column, problem }) =>
      on(entity, column, level, `${problem} in the record's key`, remedies.type, by),
    ),
  ]
}

// ── findings ────────────────────────────────────────────────────────────────────────────────────────────────────────
const judgedBy = (by: Subject | undefined) =>
  by === undefined ? {} : { subject: by.subject, version: by.found.version, schema: by.found.id }

const at = (entity: Entity, level: Finding['level'], problem: string, remedy: string, by?: Subject): Finding => ({
  level,
  coordinate: entity.name,
  place: entity.place,
  problem,
  remedy,
  ...judgedBy(by),
})
const on = (
  entity: Entity,
  column: Column,
  level: Finding['level'],
  problem: string,
  remedy: string,
  by: Subject,
): Finding => ({
  ...at(entity, level, problem, remedy, by),
  coordinate: `${entity.name}.${column.name}`,
  place: column.place,
})
