/**
 * Postgres arrays of one dimension, both ways. postgres.js would ask the server for its array types whenever a connection opens, and a
 * connection lost in that moment leaves a statement that never settles; so these are all it knows, and it asks for none.
 */

/** Array types by oid: the elements of which arrive as numbers, as booleans, or as Postgres writes them. */
const oids = {
  number: [1005, 1007, 1021, 1022, 1028], // int2 int4 float4 float8 oid
  boolean: [1000],
  text: [1009, 1002, 1003, 1015, 1016, 1231, 2951, 1115, 1182, 1185, 199, 3807], // text char name varchar int8 numeric uuid, times, json
} as const

/** The text of an array; as a parameter it is cast to the array's type. */
export const arrayText = (items: readonly unknown[]): string =>
  `{${items.map((item) => (item === null || item === undefined ? 'null' : `"${String(item).replace(/["\\]/g, '\\$&')}"`)).join(',')}}`

const element = /"((?:[^"\\]|\\.)*)"|([^,{}]+)/g

const readArray = (text: string, read: (item: string) => unknown): unknown[] =>
  [...text.slice(1, -1).matchAll(element)].map(([, quoted, bare]) => {
    if (quoted !== undefined) return read(quoted.replace(/\\(.)/gs, '$1'))
    return bare === undefined || bare === 'NULL' ? null : read(bare)
  })

const arrayType = (from: readonly number[], read: (item: string) => unknown) => ({
  to: from[0]!,
  from: [...from],
  serialize: (value: unknown) => (Array.isArray(value) ? arrayText(value) : String(value)),
  parse: (text: string) => readArray(text, read),
})

/** For postgres.js's `types`. */
export const arrayTypes = {
  numbers: arrayType(oids.number, Number),
  booleans: arrayType(oids.boolean, (item) => item === 't'),
  texts: arrayType(oids.text, (item) => item),
}
