/**
 * From a schema folder to its model: read, parse, resolve, check. Every fault is found in one pass; a model is given only when
 * there is none.
 */
import { glob, readFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { loadModule } from 'libpg-query'
import { checkModel } from './check/check.ts'
import type { Entity, Fault, Model } from './model.ts'
import { directiveNamed } from './read/directive.ts'
import { type File, readFolder } from './read/document.ts'
import { readEntities } from './read/entities.ts'
import { collectFaults } from './read/fault.ts'
import { withLineage } from './read/lineage.ts'
import type { Scope } from './read/row.ts'
import { readDomains, readEnums, readPolicies, rolesOf } from './read/schema-words.ts'
import { readPart, readView } from './read/views.ts'

export type Loaded =
  | { readonly ok: true; readonly model: Model }
  | { readonly ok: false; readonly faults: readonly Fault[] }

const language = 'forebay.graphql'

// Postgres's parser is run a few times over a few lines. Left to itself V8 optimises all of it in the background, which takes
// half a gigabyte for a second.
setFlagsFromString('--no-wasm-tier-up')
setFlagsFromString('--no-wasm-dynamic-tiering')

/** Reads every *.graphql below the folder. Throws where there is none: an empty folder is more likely a mistyped one. */
export const loadSchema = async (folder: string): Promise<Loaded> => {
  const files: File[] = []
  for await (const name of glob('**/*.graphql', { cwd: folder }))
    files.push({ name: join(folder, name), text: await readFile(join(folder, name), 'utf8') })
  if (files.length === 0)
    throw new Error(`${resolve(folder)} holds no .graphql files; name the folder of your schema (FOREBAY_SCHEMA).`)
  return parseSchema(files.sort((a, b) => (a.name < b.name ? -1 : 1)))
}

/** The same from memory. A file named forebay.graphql is the language itself; without it the package's own is taken. */
export const parseSchema = async (files: readonly File[]): Promise<Loaded> => {
  await loadModule()
  const { report, faults } = collectFaults()
  const isLanguage = ({ name }: File): boolean => name === language || name.endsWith(`/${language}`)
  const folder = readFolder(
    files.find(isLanguage) ?? (await ownLanguage()),
    files.filter((file) => !isLanguage(file)),
    report,
  )
  const entities = new Map<string, Entity>()
  const domains = readDomains(folder, report)
  const scope: Scope = { report, enums: readEnums(folder, report), entities, faulty: new Set() }
  readEntities(folder, scope, entities, domains)
  const declarations = [...folder.types.values()]
  const parts = declarations
    .filter((declaration) => directiveNamed(folder, declaration, 'part') !== undefined)
    .map((declaration) => readPart(folder, scope, declaration))
    .filter((part) => part !== undefined)
  const views = declarations
    .filter((declaration) => directiveNamed(folder, declaration, 'view') !== undefined)
    .map((declaration) => readView(folder, scope, declaration))
    .filter((view) => view !== undefined)
  const model: Model = {
    roles: rolesOf(folder),
    domains: new Map([...domains].map(([name, { source: _source, at: _at, ...domain }]) => [name, domain])),
    enums: scope.enums,
    entities,
    parts: new Map(
      parts.map((part) => [
        part.name,
        { ...part, fields: withLineage(entities, part.name, entities.get(part.of)!, part.fields) },
      ]),
    ),
    views: new Map(
      views.map((view) => [
        view.name,
        { ...view, fields: withLineage(entities, view.name, entities.get(view.of)!, view.fields) },
      ]),
    ),
    policies: readPolicies(folder, report),
  }
  checkModel(folder, model, report)
  const found = faults()
  return found.length > 0 ? { ok: false, faults: found } : { ok: true, model }
}

const ownLanguage = async (): Promise<File> => {
  const url = new URL(`../../schema/${language}`, import.meta.url)
  return { name: language, text: await readFile(url, 'utf8') }
}

/** `file:line:column: problem. remedy`, the file as seen from the working directory. */
export const formatFault = ({ place, problem, remedy }: Fault): string => {
  const file = place.file.startsWith('/') ? relative(process.cwd(), place.file) : place.file
  return `${file}:${place.line}:${place.column}: ${problem}. ${remedy}`
}
