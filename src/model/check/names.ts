/** Names that collide or can't be: in GraphQL, in Postgres, in expressions, in conditions. */
import type { NameNode } from 'graphql'
import type { Model } from '../model.ts'
import { snakeCase } from '../names.ts'
import type { Folder, TypeDeclaration } from '../read/document.ts'
import { placeOf, type Report } from '../read/fault.ts'
import { fieldNames, reservedFields, reservedTypes, typeNames } from '../read/generated-names.ts'

/** Postgres cuts identifiers at 63 bytes; a view's table adds `_` and twelve digits. */
const longest = 63
const longestView = longest - 13

/** Tables that the engine keeps in schema `forebay`. */
const engineTables = [
  'positions',
  'dirty',
  'generations',
  'catalog',
  'quarantine',
  'journal',
  'journal_ends',
  'documents',
]

export const checkNames = (folder: Folder, model: Model, report: Report): void => {
  for (const declaration of folder.types.values()) {
    checkLength(declaration.node.name, model.views.has(declaration.name) ? longestView : longest, report)
    checkFields(declaration, !model.parts.has(declaration.name), report)
  }
  for (const { name, node } of [...folder.types.values(), ...folder.enums.values()])
    if (reservedTypes.includes(name))
      report(node.name, `the type name ${name} is the engine's own`, 'Choose another name.')
  checkTables(model, report)
  checkGenerated(folder, model, report)
}

const checkLength = (node: NameNode, limit: number, report: Report): void => {
  if (Buffer.byteLength(snakeCase(node.value)) > limit)
    report(node, `${node.value} becomes a Postgres name of more than ${limit} bytes`, 'Choose a shorter name.')
}

const checkFields = ({ name, fields }: TypeDeclaration, stored: boolean, report: Report): void => {
  const folded = new Map<string, string>()
  const columns = new Map<string, string>()
  for (const { name: node } of fields) {
    const field = node.value
    if (field.startsWith('_'))
      report(
        node,
        `${name}.${field} starts with _, as only the engine's own names do`,
        `Write ${field.replace(/^_+/, '') || 'another name'}.`,
      )
    if (['and', 'or', 'not'].includes(field))
      report(node, `${name}.${field} could not be told from the ${field} of a condition`, 'Choose another name.')
    checkLength(node, longest, report)
    const lower = folded.get(field.toLowerCase())
    const column = columns.get(snakeCase(field))
    if (lower !== undefined && lower !== field)
      report(
        node,
        `${name}.${field} and ${name}.${lower} differ only by case`,
        'Rename one: expressions match names ignoring case.',
      )
    else if (stored && column !== undefined && column !== field)
      report(node, `${name}.${field} and ${name}.${column} are both the column ${snakeCase(field)}`, 'Rename one.')
    folded.set(field.toLowerCase(), field)
    columns.set(snakeCase(field), field)
  }
}

const checkTables = (model: Model, report: Report): void => {
  const tables = new Map<string, string>()
  for (const { name, domain, place } of model.entities.values()) {
    const table = `${domain}.${snakeCase(name)}`
    const other = tables.get(table)
    if (other !== undefined) report(place, `${name} and ${other} are both the table ${table}`, 'Rename one.')
    if (domain === 'forebay' && (engineTables.includes(snakeCase(name)) || /^dirty_\d+$/.test(snakeCase(name))))
      report(place, `${name} would be the engine's own table ${table}`, 'Rename it, or move it to another domain.')
    tables.set(table, name)
  }
}

const checkGenerated = (folder: Folder, model: Model, report: Report): void => {
  const fields = new Map(reservedFields.map((name) => [name, 'the engine']))
  for (const view of model.views.keys())
    for (const name of fieldNames(view)) {
      const other = fields.get(name)
      if (other !== undefined && other !== view)
        report(
          placeOf(folder.types.get(view)!.node.name),
          `${view} and ${other} are both asked for by ${name}`,
          'Rename one.',
        )
      fields.set(name, view)
    }
  for (const view of model.views.keys())
    for (const name of typeNames(view)) {
      const node = (folder.types.get(name) ?? folder.enums.get(name))?.node
      if (node !== undefined && !model.entities.has(name))
        report(node.name, `the type ${name} is made for the view ${view}`, 'Choose another name.')
    }
}
