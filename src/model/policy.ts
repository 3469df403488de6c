/** What a role sees of a coordinate: whether at all, by @allow, and in what form, by @policy and the value's lineage. */
import type { Allow, Field, LineageTag, Model, Part, PiiClass, View } from './model.ts'

export type Form = 'hidden' | 'masked' | 'tokenized' | 'clear'

/** From the least visible to the most. */
const lattice: readonly Form[] = ['hidden', 'masked', 'tokenized', 'clear']
const classes: readonly PiiClass[] = ['PERSONAL', 'SENSITIVE', 'RESTRICTED']

export const strongestForm = (forms: Iterable<Form>): Form => best([...forms], 1)
const weakestForm = (forms: readonly Form[]): Form => (forms.length === 0 ? 'clear' : best(forms, -1))

const best = (forms: readonly Form[], sign: 1 | -1): Form =>
  forms.reduce<Form | undefined>(
    (found, form) =>
      found === undefined || sign * (lattice.indexOf(form) - lattice.indexOf(found)) > 0 ? form : found,
    undefined,
  ) ?? 'hidden'

/**
 * The form in which one role sees a field of a view or part. For a part's field this is what the part itself grants: the fields
 * that embed it narrow further. Scopes are the token's matter and not judged here. Unknown coordinates are hidden.
 */
export const formOf = (model: Model, typeName: string, fieldName: string, role: string): Form => {
  const type: View | Part | undefined = model.views.get(typeName) ?? model.parts.get(typeName)
  const field = type?.fields.find((known) => known.name === fieldName)
  if (type === undefined || field === undefined) return 'hidden'
  return allows(type.allow, role) && allows(field.allow, role) ? formOfValue(model, field, role) : 'hidden'
}

/** Whether @allow, or its absence on what only narrows, lets the role pass. */
export const allows = (allow: Allow | undefined, role: string): boolean =>
  allow?.roles === undefined || allow.roles.includes(role)

/** By @policy alone: of several tags the least visible decides, and what is not verbatim has no form between hidden and clear. */
export const formOfValue = (model: Model, { lineage }: Pick<Field, 'lineage'>, role: string): Form => {
  const form = weakestForm(lineage.tags.map((tag) => formOfTag(model, tag, role)))
  return form === 'clear' || lineage.verbatim ? form : 'hidden'
}

const formOfTag = (model: Model, { kind, class: level }: LineageTag, role: string): Form => {
  const policy = model.policies.get(role)
  if (policy === undefined || classes.indexOf(level) > classes.indexOf(policy.upTo)) return 'hidden'
  return policy.clear.includes(kind)
    ? 'clear'
    : policy.tokenized.includes(kind)
      ? 'tokenized'
      : policy.masked.includes(kind)
        ? 'masked'
        : 'hidden'
}
