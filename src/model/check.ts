/** What is right word by word and wrong as a whole. */
import { checkAccess } from './check-access.ts'
import { checkCycles } from './check-cycles.ts'
import { checkNames } from './check-names.ts'
import { checkSearch } from './check-search.ts'
import { checkShape } from './check-shape.ts'
import { checkSources } from './check-sources.ts'
import type { Folder } from './document.ts'
import type { Report } from './fault.ts'
import type { Model } from './model.ts'

export const checkModel = (folder: Folder, model: Model, report: Report): void => {
  checkShape(folder, report)
  checkNames(folder, model, report)
  checkSources(folder, model, report)
  checkCycles(model, report)
  checkSearch(folder, model, report)
  checkAccess(folder, model, report)
}
