/** `forebay check`: judges a schema folder as a whole. */
import { formatFault, loadSchema } from '../model/load.ts'
import type { Model, View } from '../model/model.ts'

/** Prints every fault, or what the folder declares. Gives the exit code: 0 when it holds, 1 with faults. */
export const runCheck = async (folder: string, { json = false }: { readonly json?: boolean } = {}): Promise<number> => {
  const loaded = await loadSchema(folder)
  if (json) console.log(JSON.stringify(loaded.ok ? { ok: true, ...summary(loaded.model) } : loaded))
  else if (loaded.ok) for (const line of describe(folder, loaded.model)) console.log(line)
  else {
    for (const fault of loaded.faults) console.log(formatFault(fault))
    console.log(`${loaded.faults.length} ${loaded.faults.length === 1 ? 'fault' : 'faults'} in ${folder}`)
  }
  return loaded.ok ? 0 : 1
}

const summary = (model: Model) => ({
  entities: model.entities.size,
  views: [...model.views.values()].map((view) => ({
    name: view.name,
    of: view.of,
    key: keyOf(model, view),
    readers: view.allow.roles ?? model.roles,
  })),
  parts: model.parts.size,
  roles: model.roles,
})

const keyOf = (model: Model, view: View): readonly string[] => view.groupBy ?? model.entities.get(view.of)?.key ?? []

const describe = (folder: string, model: Model): readonly string[] => {
  const { entities, views, parts, roles } = summary(model)
  const width = Math.max(...views.map(({ name }) => name.length), 0)
  return [
    `${folder} holds: ${entities} entities, ${views.length} views, ${parts} parts, ${roles.length} roles`,
    ...views.map(
      ({ name, of, key, readers }) =>
        `  ${name.padEnd(width)}  of ${of} by ${key.join(', ')}; read by ${readers.join(', ')}`,
    ),
  ]
}
