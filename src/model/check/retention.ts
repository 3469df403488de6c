/** Whether a row of a view is there is seen by everyone who may read it, so what decides that is no personal data. */
import type { Model } from '../model.ts'
import type { Folder } from '../read/document.ts'
import type { Report } from '../read/fault.ts'
import { argumentPlace } from './shape.ts'

export const checkRetention = (folder: Folder, model: Model, report: Report): void => {
  for (const { name, retention, fields } of model.views.values()) {
    const [tag] = fields.find((field) => field.name === retention?.on)?.lineage.tags ?? []
    if (tag !== undefined)
      report(
        argumentPlace(folder.types.get(name), 'retention', 'on')!,
        `whether a row of ${name} is kept depends on ${retention!.on}, which is ${tag.kind}: everyone would see it by the row's absence`,
        'Decide by a field that is no personal data.',
      )
  }
}
