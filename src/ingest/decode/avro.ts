/**
 * Avro's binary form → the values that JSON would have given: bytes as base64, 64-bit integers exact, 32-bit floats with no more digits
 * than they were written with. Read by the writer's own schema: an entity takes from it what it declares.
 */
import avro from 'avsc'
import { asBase64, asIs, asShortest, asUuid, type Named, readAvroSchema } from './avro-schema.ts'
import { type ConnectSchema, exactNumber } from './document.ts'
import { DecodeFault } from './fault.ts'

export type AvroReader = {
  readonly schema: ConnectSchema
  /** Throws DecodeFault for bytes that are not one value of the schema. */
  read(bytes: Buffer): unknown
}

/** `references`: texts of the schemas whose names it uses, each before those that use it. Throws for what is no Avro schema. */
export const compileAvro = (text: string, references: readonly string[] = []): AvroReader => {
  const names = new Map<string, Named>()
  const registry = { long: exactLong }
  const options = { registry, logicalTypes, omitRecordMethods: true, wrapUnions: false, noAnonymousTypes: false }
  const compile = (one: string) => {
    const { schema, connect } = readAvroSchema(JSON.parse(one), names)
    return { connect, type: avro.Type.forSchema(schema as avro.Schema, options) }
  }
  for (const reference of references) compile(reference)
  const { connect, type } = compile(text)
  return {
    schema: connect,
    read(bytes) {
      try {
        return type.fromBuffer(bytes)
      } catch (error) {
        if (error instanceof RangeError) throw error
        throw new DecodeFault('does not hold what its schema says')
      }
    },
  }
}

/** A value as it is read; nothing is ever written. */
abstract class ReadType extends avro.types.LogicalType {
  protected override _toValue(): never {
    throw new Error('only read')
  }
  protected override _resolve(): undefined {
    return undefined
  }
}
class Base64 extends ReadType {
  protected override _fromValue(value: Buffer): string {
    return value.toString('base64')
  }
}
class Uuid extends ReadType {
  protected override _fromValue(value: Buffer): string {
    return value.toString('hex').replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5')
  }
}
class Shortest extends ReadType {
  protected override _fromValue(value: number): number {
    return shortest(value)
  }
}
class AsIs extends ReadType {
  protected override _fromValue(value: unknown): unknown {
    return value
  }
}
const logicalTypes = { [asBase64]: Base64, [asUuid]: Uuid, [asShortest]: Shortest, [asIs]: AsIs }

/** 1.1 in 32 bits is 1.10000002384185791015625 in 64; the shortest text that gives the same 32 bits is what was meant. */
const shortest = (value: number): number => {
  for (let digits = 6; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits))
    if (Math.fround(rounded) === value) return rounded
  }
  return value
}

/** A zigzag varint, 7 bits a byte, the least first: exact by arithmetic on doubles up to 49 bits, by BigInt beyond. */
const longOf = (bytes: Uint8Array): unknown => {
  if (bytes.length <= 7) {
    let value = 0
    for (let i = bytes.length - 1; i >= 0; i--) value = value * 128 + (bytes[i]! & 0x7f)
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
  let value = 0n
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 7n) | BigInt(bytes[i]! & 0x7f)
  const unsigned = BigInt.asUintN(64, value)
  return exactNumber((unsigned >> 1n) ^ -(unsigned & 1n))
}

const onlyRead = (): never => {
  throw new Error('only read')
}
const exactLong = avro.types.LongType.__with(
  {
    fromBuffer: longOf,
    toBuffer: onlyRead,
    fromJSON: onlyRead,
    toJSON: onlyRead,
    isValid: () => false,
    compare: onlyRead,
  },
  true,
)
