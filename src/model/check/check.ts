/** What is right word by word and wrong as a whole. */

import type { Model } from '../model.ts'
import type { Folder } from '../read/document.ts'
import type { Report } from '../read/fault.ts'
import { checkAccess } from './access.ts'
import { checkCycles } from './cycles.ts'
import { checkNames } from './names.ts'
import { checkRetention } from './retention.ts'
import { checkRolling } from './rolling.ts'
import { checkSearch } from './search.ts'
import { checkShape } from './shape.ts'
import { checkSources } from './sources.ts'

export const checkModel = (folder: Folder, model: Model, report: Report): void => {
  checkShape(folder, report)
  checkNames(folder, model, report)
  checkSources(folder, model, report)
  checkCycles(model, report)
  checkSearch(folder, model, report)
  checkRetention(folder, model, report)
  checkRolling(folder, model, report)
  checkAccess(folder, model, report)
}
