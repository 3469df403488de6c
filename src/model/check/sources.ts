/** What entities that read one topic must agree on, and what may not count as deleted. */

import type { Entity, Model, TableSource } from '../model.ts'
import type { Folder } from '../read/document.ts'
import type { Report } from '../read/fault.ts'
import { whereTags } from '../read/lineage.ts'
import { argumentPlace } from './shape.ts'

const sameReading = (one: TableSource | undefined, other: TableSource | undefined): boolean =>
  (one === undefined) === (other === undefined) && JSON.stringify(one?.poll) === JSON.stringify(other?.poll)

export const checkSources = (folder: Folder, model: Model, report: Report): void => {
  const readers = new Map<string, Entity>()
  for (const entity of model.entities.values()) {
    const { name, source, deleted } = entity
    const place = argumentPlace(folder.types.get(name), 'entity', 'source') ?? entity.place
    const first = source.topic === '' ? undefined : readers.get(source.topic)
    if (first === undefined) readers.set(source.topic, entity)
    else if (first.source.format !== source.format)
      report(
        place,
        `topic ${source.topic} is ${source.format} for ${name} and ${first.source.format} for ${first.name}`,
        'Give both one format.',
      )
    else if (!sameReading(first.source.table, source.table))
      report(
        place,
        `${source.topic} is read differently by ${name} and by ${first.name}`,
        'Give both the same connection, watermark, every, overlap and sweep.',
      )
    else if (
      first.source.typeAt?.join('.') !== source.typeAt?.join('.') &&
      source.typeAt !== undefined &&
      first.source.typeAt !== undefined
    )
      report(
        place,
        `topic ${source.topic} has its event type at ${source.typeAt.join('.')} for ${name} and at ${first.source.typeAt.join('.')} for ${first.name}`,
        'Give both one typeAt.',
      )
    const [tag] = deleted === undefined ? [] : whereTags(model.entities, entity, deleted)
    if (tag !== undefined)
      report(
        argumentPlace(folder.types.get(name), 'entity', 'deleted') ?? entity.place,
        `whether a ${name} counts as deleted depends on ${tag.coordinate}, which is ${tag.kind}: everyone would see it by the row's absence`,
        'Decide by a field that is no personal data.',
      )
  }
}
