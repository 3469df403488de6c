/** The schema folder, for whoever can't go on without it. */
import { resolve } from 'node:path'
import { formatFault, loadSchema } from '../model/load.ts'
import type { Model } from '../model/model.ts'

/** Throws with every fault. */
export const readModel = async (folder: string): Promise<Model> => {
  const loaded = await loadSchema(folder)
  if (loaded.ok) return loaded.model
  const list = loaded.faults.map(formatFault).join('\n')
  throw new Error(`The schema in ${resolve(folder)} has faults; nothing was started:\n${list}`)
}
