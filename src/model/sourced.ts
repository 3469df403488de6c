/** Which columns come from the source: all but those that the table computes from them. */
import type { Column, Entity } from './model.ts'

export const isSourced = ({ computed }: Column): boolean => computed === undefined

export const sourcedColumns = (entity: Entity): readonly Column[] => entity.columns.filter(isSourced)
