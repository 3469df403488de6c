/** A rolling field is summed when its row is read, so nothing can be found, ordered or hidden by it. */
import type { Model, View } from '../model.ts'
import { directivesNamed } from '../read/directive.ts'
import type { Folder } from '../read/document.ts'
import { placeOf, type Report } from '../read/fault.ts'
import { fieldsOf } from '../reads.ts'
import { rollingFields } from '../rolling.ts'

const instead = 'Ask for it with the rows. To search by time, use @max of the time itself, or count without a window.'

export const checkRolling = (folder: Folder, model: Model, report: Report): void => {
  for (const view of model.views.values()) {
    const rolling = rollingFields(view.fields)
    if (rolling.size > 0) checkView(folder, view, rolling, report)
  }
}

const checkView = (folder: Folder, view: View, rolling: ReadonlySet<string>, report: Report): void => {
  const declaration = folder.types.get(view.name)!
  for (const node of declaration.fields) {
    if (!rolling.has(node.name.value)) continue
    // An aggregate can't be looked up anyhow, and is told so.
    const aggregate = view.fields.some(({ name, value }) => name === node.name.value && value.kind === 'aggregate')
    for (const directive of node.directives ?? [])
      if (['filter', 'order', ...(aggregate ? [] : ['lookup'])].includes(directive.name.value))
        report(
          directive,
          `@${directive.name.value} stands on ${view.name}.${node.name.value}, which changes as time goes by and has no index`,
          instead,
        )
  }
  for (const [index, directive] of directivesNamed(folder, declaration, 'rows').entries()) {
    const where = view.rows[index]?.where
    const read = where === undefined ? [] : fieldsOf(where)
    for (const name of read.filter((one, i) => rolling.has(one) && read.indexOf(one) === i))
      report(
        placeOf(directive.literal('where')!),
        `a row rule of ${view.name} reads ${name}, which changes as time goes by`,
        'Rule by a field that is stored with the row.',
      )
  }
}
