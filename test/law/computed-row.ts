/** What an entity's row holds besides what its source sent: its computed columns, by the same little interpreter as views' expressions. */
import type { CellValue } from '../../src/ingest/change.ts'
import type { Column, Entity, Model } from '../../src/model/model.ts'
import { formatDecimal, parseDecimal } from './decimal.ts'
import { evaluate, type Value } from './expression.ts'
import type { Row } from './seen.ts'

/** The model as sources know it. */
export const withoutComputed = (model: Model): Model => ({
  ...model,
  entities: new Map(
    [...model.entities].map(([name, entity]) => [
      name,
      { ...entity, columns: entity.columns.filter(({ computed }) => !computed) },
    ]),
  ),
})

export const computeRow = (entity: Entity, row: Row): Row => {
  const byName = new Map(entity.columns.map((column) => [column.name, column]))
  const computed = entity.columns.flatMap((column) => {
    if (column.computed === undefined) return []
    const inputs = column.computed.inputs.map((name): [string, Value] => [
      name.toLowerCase(),
      operand(byName.get(name)!, row[name] ?? null),
    ])
    return [[column.name, result(column, evaluate(column.computed.written, new Map(inputs)))] as const]
  })
  return computed.length === 0 ? row : { ...row, ...Object.fromEntries(computed) }
}

const numbers = ['Int', 'Long', 'Decimal']
const isNumber = ({ type }: Column): boolean => type.kind === 'scalar' && numbers.includes(type.scalar)

const operand = (column: Column, cell: CellValue): Value => {
  if (cell === null || typeof cell === 'boolean') return cell
  return isNumber(column) ? parseDecimal(String(cell)) : String(cell)
}

const result = ({ type }: Column, value: Value): CellValue => {
  if (value === null || typeof value !== 'object') return value
  const text = formatDecimal(value, undefined)
  return type.kind === 'scalar' && type.scalar === 'Int' ? Number(text) : text
}
