/** Source texts of an enum's values. */
import type { EnumType } from '../../model/model.ts'

/** The value that takes a text: by `@value(of:)` as it stands, by name ignoring case, `-` and space read as `_`. */
export const enumReader = ({ values }: EnumType): ((text: string) => string | undefined) => {
  const exact = new Map<string, string>()
  const loose = new Map<string, string>()
  for (const { name, text } of values) {
    if (text !== undefined) exact.set(text, name)
    else loose.set(looseText(name), name)
  }
  return (text) => exact.get(text) ?? loose.get(looseText(text))
}
const looseText = (text: string): string => text.toUpperCase().replaceAll(/[- ]/g, '_')
