/** Avro's own encoder, its longs as bigints. */
import avro from 'avsc'

const bigints = avro.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(value)
    return bytes
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => Number(a - b),
})
const types = new Map<string, avro.Type>()

export const avroType = (schema: object): avro.Type => {
  const text = JSON.stringify(schema)
  const type = types.get(text) ?? avro.Type.forSchema(schema as avro.Schema, { registry: { long: bigints } })
  types.set(text, type)
  return type
}
export const encodeAvro = (schema: object, value: unknown): Buffer => avroType(schema).toBuffer(value)
