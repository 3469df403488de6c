/**
 * What a set of roles may see, decided once for all its requests.
 *
 * The form of a value is the strongest that any role is granted *on the whole way to it*: a role that may not see a field lends
 * nothing to the part below. Roles bound by different row rules are different classes: a row shows what the classes that
 * may see that very row are granted, so no merge of roles shows what no single role shows.
 */
import { LRUCache } from 'lru-cache'
import type { Allow, Field, Model, RowRule, View } from '../../model/model.ts'
import { type Form, formOf, strongestForm } from '../../model/policy.ts'

export type Visible = Exclude<Form, 'hidden'>
/** The fields that may be seen, by name; hidden ones are absent. */
export type Shape = ReadonlyMap<string, { readonly form: Visible; readonly part?: Shape }>
/** The roles that one list of row rules binds. No rules: all rows. */
export type RowClass = { readonly rules: readonly RowRule[]; readonly roles: readonly string[] }
export type ViewVerdict = {
  readonly view: View
  readonly classes: readonly RowClass[]
  /** What is seen in a row that every class may see: the most that any row shows. */
  readonly shape: Shape
  /** What is seen in a row that the classes of `bits` (bit i for class i) may see. */
  readonly shapeOf: (bits: number) => Shape
  /** What each class sees by itself. */
  readonly classShapes: readonly Shape[]
}
export type Verdict = {
  /** Equal keys, equal verdicts. */
  readonly key: string
  readonly roles: readonly string[]
  /** May look after the engine: `forebay { … }`. */
  readonly operates: boolean
  /** Only the views of which anything may be seen. */
  readonly views: ReadonlyMap<string, ViewVerdict>
}

/** Sees everything there is: the schema that operations are validated against, never one that answers. */
const everyone = '*'

const shapeOfType = (
  model: Model,
  typeName: string,
  fields: readonly Field[],
  roles: readonly string[],
  scoped: (allow: Allow | undefined) => boolean,
): Shape => {
  const shape = new Map<string, { form: Visible; part?: Shape }>()
  for (const field of fields) {
    if (!scoped(field.allow)) continue
    const formFor = (role: string): Form => (role === everyone ? 'clear' : formOf(model, typeName, field.name, role))
    const seeing = roles.filter((role) => formFor(role) !== 'hidden')
    const form = strongestForm(seeing.map(formFor))
    if (form === 'hidden') continue
    if (field.type.kind !== 'part') {
      shape.set(field.name, { form })
      continue
    }
    const part = model.parts.get(field.type.part)
    if (!part || !scoped(part.allow)) continue
    const below = shapeOfType(model, part.name, part.fields, seeing, scoped)
    if (below.size > 0) shape.set(field.name, { form, part: below })
  }
  return shape
}

const viewVerdict = (
  model: Model,
  view: View,
  roles: readonly string[],
  scoped: (allow: Allow | undefined) => boolean,
): ViewVerdict | undefined => {
  if (!scoped(view.allow)) return undefined
  const shapeFor = (some: readonly string[]): Shape => shapeOfType(model, view.name, view.fields, some, scoped)
  const byRules = new Map<string, { rules: RowRule[]; roles: string[] }>()
  for (const role of roles.filter((one) => shapeFor([one]).size > 0)) {
    const rules = role === everyone ? [] : view.rows.filter((rule) => !rule.roles || rule.roles.includes(role))
    const key = rules.map((rule) => view.rows.indexOf(rule)).join()
    const known = byRules.get(key)
    if (known) known.roles.push(role)
    else byRules.set(key, { rules, roles: [role] })
  }
  if (byRules.size === 0) return undefined
  const classes = [...byRules.values()]
  const shapes = new Map<number, Shape>()
  const shapeOf = (bits: number): Shape => {
    let shape = shapes.get(bits)
    if (!shape) {
      shape = shapeFor(classes.flatMap((one, i) => (bits & (1 << i) ? one.roles : [])))
      shapes.set(bits, shape)
    }
    return shape
  }
  const all = 2 ** classes.length - 1
  return { view, classes, shape: shapeOf(all), shapeOf, classShapes: classes.map((_, i) => shapeOf(1 << i)) }
}

const judge = (
  model: Model,
  key: string,
  roles: readonly string[],
  scopes: ReadonlySet<string> | undefined,
): Verdict => {
  const scoped = (allow: Allow | undefined): boolean =>
    !scopes || (allow?.scopes ?? []).every((scope) => scopes.has(scope))
  const verdicts = [...model.views.values()].flatMap((view) => {
    const verdict = viewVerdict(model, view, roles, scoped)
    return verdict ? [[view.name, verdict] as const] : []
  })
  const operates = roles.some((role) => role === everyone || role === 'OPERATOR' || role === 'ADMIN')
  return { key, roles, operates, views: new Map(verdicts) }
}

export const fullVerdict = (model: Model): Verdict => judge(model, everyone, [everyone], undefined)

/** Verdicts by role set, at most `max` kept. Roles and scopes that the model doesn't name grant nothing and don't count. */
export const createVerdicts = (
  model: Model,
  max = 200,
): ((roles: readonly string[], scopes: readonly string[]) => Verdict) => {
  const parts = [...model.views.values(), ...model.parts.values()]
  const allows = parts.flatMap(({ allow, fields }) => [allow, ...fields.map((field) => field.allow)])
  const knownScopes = new Set(allows.flatMap((allow) => allow?.scopes ?? []))
  const cache = new LRUCache<string, Verdict>({ max })
  return (roles, scopes) => {
    const own = [...new Set(roles.filter((role) => model.roles.includes(role)))].sort()
    const scope = [...new Set(scopes.filter((name) => knownScopes.has(name)))].sort()
    const key = JSON.stringify([own, scope])
    let verdict = cache.get(key)
    if (!verdict) {
      verdict = judge(model, key, own, new Set(scope))
      cache.set(key, verdict)
    }
    return verdict
  }
}

/** Clear for every class that may see any row: otherwise a condition would tell what the form hides. */
export const searchable = (verdict: ViewVerdict, field: Field): boolean =>
  verdict.classShapes.every((shape) => shape.get(field.name)?.form === 'clear')

/** A person who knows the value may find its row, unless any class is shown nothing or only a token of it. */
export const lookable = (verdict: ViewVerdict, field: Field): boolean =>
  field.lookup &&
  verdict.classShapes.every((shape) => {
    const form = shape.get(field.name)?.form
    return form === 'clear' || form === 'masked'
  })
