import { formatFault, parseSchema } from '../../src/model/load.ts'
import type { Model } from '../../src/model/model.ts'

/** Throws with every fault, and with the text that has them. */
export const loadModel = async (text: string): Promise<Model> => {
  const loaded = await parseSchema([{ name: 'zoo.graphql', text }])
  if (!loaded.ok) throw new Error(`${loaded.faults.map(formatFault).join('\n')}\n${text}`)
  return loaded.model
}
