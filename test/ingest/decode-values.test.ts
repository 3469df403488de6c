import { describe, expect, test } from 'vitest'
import { cellOf } from './decode-one.ts'

const mood = {
  name: 'Mood',
  values: [{ name: 'VERY_SAD' }, { name: 'FINE', text: `it's "fine"` }, { name: 'OTHER' }],
  other: 'OTHER',
}
const strict = { ...mood, name: 'Strict', other: undefined as never }
const connect = (name: string, type = 'int64', parameters?: object) => ({ type, name, parameters })
const decimalSchema = (scale: string) => connect('org.apache.kafka.connect.data.Decimal', 'bytes', { scale })
const variableScale = connect('io.debezium.data.VariableScaleDecimal', 'struct')
const la = { zone: 'America/Los_Angeles' }
const json = { format: 'JSON' } as const

type Case = readonly [type: string, json: string, expected: unknown, options?: Parameters<typeof cellOf>[2]]
const bad = (reason: RegExp) => ({ bad: expect.stringMatching(reason) })

const cases: Record<string, readonly Case[]> = {
  'a 64-bit integer is exact, as a bare number or as text': [
    ['Long', '9223372036854775807', '9223372036854775807'],
    ['Long', '-9223372036854775808', '-9223372036854775808'],
    ['Long', '9007199254740993', '9007199254740993'],
    ['Long', '-9007199254740993', '-9007199254740993'],
    ['Long', '"9007199254740993"', '9007199254740993'],
    ['Long', '5', '5'],
    ['Long', '-0', '0'],
    ['Long', '1e3', '1000'],
    ['Long', '9223372036854775808', bad(/^T\.x is out of the range of a 64-bit integer$/)],
    ['Long', '1.5', bad(/not an integer/)],
    ['Long', 'true', bad(/is a boolean, expected an integer/)],
    ['[Long!]', '[9007199254740993,1]', ['9007199254740993', '1']],
  ],
  'a bare number is exact where a text column takes it': [
    ['ID!', '9007199254740993', '9007199254740993'],
    ['String', '12345678901234567890.50', '12345678901234567890.50'],
    ['String', 'false', 'false'],
    ['String', '{"a":1}', bad(/is an object, expected text/)],
  ],
  'a 32-bit integer is in range or refused': [
    ['Int', '2147483647', 2147483647],
    ['Int', '-2147483648', -2147483648],
    ['Int', '"7"', 7],
    ['Int', '"7.00"', 7],
    ['Int', '2147483648', bad(/is out of the range of a 32-bit integer/)],
    ['Int', '9007199254740993', bad(/is out of the range of a 32-bit integer/)],
    ['Int', '"x"', bad(/is not a decimal number/)],
    ['Int', '"AQ=="', 1, { schema: decimalSchema('0') }],
  ],
  'a float is finite or refused': [
    ['Float', '1.1', 1.1],
    ['Float', '"1.5"', 1.5],
    ['Float', '"NaN"', bad(/not a finite number/)],
    ['Float', '"-Infinity"', bad(/not a finite number/)],
    ['Float', '1e999', bad(/not a finite number/)],
  ],
  'a decimal keeps every digit; a declared scale pads and never rounds': [
    ['Decimal', '"12345678901234567890.123456789"', '12345678901234567890.123456789'],
    ['Decimal', '12345678901234567890.123456789', '12345678901234567890.123456789'],
    ['Decimal', '0.10000000000000000001', '0.10000000000000000001'],
    ['Decimal', '1.10', '1.1'],
    ['Decimal', '1e30', '1000000000000000000000000000000'],
    ['Decimal', '"1.5e-7"', '0.00000015'],
    ['Decimal', '"-0.00"', '0'],
    ['Decimal', '"10.5"', '10.50', { column: { scale: 2 } }],
    ['Decimal', '"10.5000"', '10.50', { column: { scale: 2 } }],
    ['Decimal', '"10.505"', bad(/more than the 2 declared digits/), { column: { scale: 2 } }],
    ['Decimal', '"NAN"', bad(/not a finite number/)],
    ['Decimal', '""', bad(/not a decimal number/)],
    ['Decimal', '"1e999999"', bad(/out of the range of numeric/)],
    ['Decimal', '"AZoo"', '10.5', { schema: decimalSchema('4') }],
    ['Decimal', '"AZoo"', '10.5000', { schema: decimalSchema('4'), column: { scale: 4 } }],
    ['Decimal', '"/w=="', '-0.01', { schema: decimalSchema('2'), column: { scale: 2 } }],
    ['Decimal', '"AeJA"', '1234.56', { column: { scale: 2, encoding: 'DECIMAL_BYTES' } }],
    ['Decimal', '"AeJA"', bad(/without a scale/), { column: { encoding: 'DECIMAL_BYTES' } }],
    ['Decimal', '"*"', bad(/not base64/), { schema: decimalSchema('2') }],
    ['Decimal', '{"scale":9,"value":"J+QbMka+ybFuOYEV"}', '12345678901234567890.123456789', { schema: variableScale }],
    ['Decimal', '{"scale":9,"value":"J+QbMka+ybFuOYEV"}', '12345678901234567890.123456789'],
    ['Decimal', '{"scale":-2,"value":"AQ=="}', '100'],
    ['[Decimal!]', '["1.50","2"]', ['1.5', '2']],
  ],
  'an instant is UTC in microseconds, however it was written': [
    ['DateTime', '"2024-03-10T02:30:00.123456Z"', '2024-03-10T02:30:00.123456Z'],
    ['DateTime', '"2024-03-10T02:30:00.120000Z"', '2024-03-10T02:30:00.12Z'],
    ['DateTime', '"2024-03-10 02:30:00.5+02"', '2024-03-10T00:30:00.5Z'],
    ['DateTime', '"2024-03-10T02:30:00-05:30"', '2024-03-10T08:00:00Z'],
    ['DateTime', '"2024-03-10T02:30"', '2024-03-10T02:30:00Z'],
    ['DateTime', '"2024-03-10"', '2024-03-10T00:00:00Z'],
    ['DateTime', '"2024-03-10T24:00:00Z"', '2024-03-11T00:00:00Z'],
    ['DateTime', '1710037800123456', '2024-03-10T02:30:00.123456Z'],
    ['DateTime', '-1', '1969-12-31T23:59:59.999999Z'],
    [
      'DateTime',
      '1710037800123',
      '2024-03-10T02:30:00.123Z',
      { schema: connect('org.apache.kafka.connect.data.Timestamp') },
    ],
    ['DateTime', '1710037800123', '2024-03-10T02:30:00.123Z', { schema: connect('io.debezium.time.Timestamp') }],
    [
      'DateTime',
      '1710037800123456789',
      '2024-03-10T02:30:00.123456Z',
      { schema: connect('io.debezium.time.NanoTimestamp') },
    ],
    ['DateTime', '253402300799999999', '9999-12-31T23:59:59.999999Z'],
    ['DateTime', '1710037800', '2024-03-10T02:30:00Z', { source: { unit: 'SECONDS' } }],
    ['DateTime', '1710037800.123', '2024-03-10T02:30:00.123Z', { source: { unit: 'SECONDS' } }],
    ['DateTime', '"1710037800123"', '2024-03-10T02:30:00.123Z', { column: { encoding: 'MILLIS' } }],
    ['DateTime', '"2024-02-30T00:00:00Z"', bad(/does not exist/)],
    ['DateTime', '"2023-02-29T00:00:00Z"', bad(/does not exist/)],
    ['DateTime', '"-infinity"', bad(/outside the years 0001 to 9999/)],
    ['DateTime', '"+294247-01-10T04:00:25.2Z"', bad(/outside the years/)],
    ['DateTime', '"-0043-03-13T00:00:00Z"', bad(/outside the years/)],
    ['DateTime', '9223372036825200000', bad(/outside the years/)],
    ['DateTime', '"yesterday"', bad(/not an ISO 8601/)],
    ['DateTime', '17', bad(/is a number, expected ISO 8601 text/), { column: { encoding: 'ISO8601' } }],
  ],
  'a time without a zone is read on the clock of the source; what carries one is not': [
    ['DateTime', '"2024-07-01T12:00:00"', '2024-07-01T19:00:00Z', { source: la }],
    ['DateTime', '"2024-07-01T12:00:00Z"', '2024-07-01T12:00:00Z', { source: la }],
    [
      'DateTime',
      '"2024-07-01T12:00:00Z"',
      '2024-07-01T19:00:00Z',
      { source: la, schema: connect('io.debezium.time.IsoTimestamp', 'string') },
    ],
    [
      'DateTime',
      '"2024-07-01T12:00:00Z"',
      '2024-07-01T12:00:00Z',
      { source: la, schema: connect('io.debezium.time.ZonedTimestamp', 'string') },
    ],
    ['DateTime', '1719835200000000', '2024-07-01T19:00:00Z', { source: la }],
    ['DateTime', '1719835200000', '2024-07-01T12:00:00Z', { source: { ...la, ...json, unit: 'MILLIS' } }],
    ['DateTime', '1719835200000', '2024-07-01T12:00:00Z', { source: la, column: { encoding: 'MILLIS' } }],
  ],
  'a time that the clock skips takes the offset before the gap, one that comes twice the later': [
    ['DateTime', '"2024-03-10T02:30:00"', '2024-03-10T10:30:00Z', { source: la }],
    ['DateTime', '"2024-11-03T01:30:00"', '2024-11-03T09:30:00Z', { source: la }],
    ['DateTime', '"2024-03-31T02:30:00"', '2024-03-31T01:30:00Z', { source: { zone: 'Europe/Berlin' } }],
  ],
  'a day comes as text or as days': [
    ['Date', '"2024-02-29"', '2024-02-29'],
    ['Date', '"2024-02-29Z"', '2024-02-29'],
    ['Date', '"2024-02-29T00:00:00.000Z"', '2024-02-29'],
    ['Date', '19782', '2024-02-29'],
    ['Date', '19782', '2024-02-29', { schema: connect('io.debezium.time.Date', 'int32') }],
    ['Date', '-719162', '0001-01-01'],
    ['Date', '1709164800000', '2024-02-29', { source: { ...json, unit: 'MILLIS' } }],
    ['Date', '1709164800001', bad(/is a time of day, expected a day/), { source: { ...json, unit: 'MILLIS' } }],
    ['Date', '"2024-02-29T10:00:00Z"', bad(/is a time of day, expected a day/)],
    ['Date', '"+5874897-12-31Z"', bad(/outside the years/)],
    ['Date', '-622191234', bad(/outside the years/)],
    ['Date', '1.5', bad(/not an integer/)],
  ],
  'a boolean comes as itself, as a bit, or as a number': [
    ['Boolean', 'true', true],
    ['Boolean', '0', false],
    ['Boolean', '"AQ=="', true],
    ['Boolean', '"F"', false],
    ['Boolean', '2', bad(/expected true or false/)],
  ],
  'JSON is kept as it was written, numbers digit by digit': [
    ['JSON', '"{\\"a\\": 1.10, \\"a\\": 2}"', { json: '{"a": 1.10, "a": 2}' }],
    ['JSON', '"null"', { json: 'null' }],
    ['JSON', '{"big":12345678901234567890,"d":1.10}', { json: '{"big":12345678901234567890,"d":1.10}' }],
    ['JSON', '[1,"a"]', { json: '[1,"a"]' }],
    ['JSON', '"plain"', { json: '"plain"' }, { source: json }],
    ['JSON', '"{\\"a\\":1}"', { json: '{"a":1}' }, { source: json, column: { encoding: 'JSON_TEXT' } }],
    ['JSON', '"{"', bad(/not valid JSON text/)],
    ['JSON', '"{\\"a\\":\\"\\\\u0000\\"}"', bad(/NUL/)],
    ['JSON', '{"a":["\\u0000"]}', bad(/NUL/)],
    ['JSON', '{"\\ud800":1}', bad(/half a surrogate pair/)],
  ],
  'text that Postgres can not hold is refused': [
    ['String', '"a\\u0000b"', bad(/^T\.x holds a NUL character/)],
    ['String', '"\\ud83d"', bad(/half a surrogate pair/)],
    ['String', '"\\uD83D\\uDE00 é"', '😀 é'],
    ['[String!]', '["a","\\u0000"]', bad(/NUL/)],
  ],
  'an enum takes its text, else its name ignoring case, space and hyphen; the rest goes to the other value': [
    ['Mood', '"very-sad"', 'VERY_SAD', { column: { enum: 'Mood' }, enums: [mood] }],
    ['Mood', '"Very Sad"', 'VERY_SAD', { column: { enum: 'Mood' }, enums: [mood] }],
    ['Mood', `"it's \\"fine\\""`, 'FINE', { column: { enum: 'Mood' }, enums: [mood] }],
    ['Mood', '"fine"', 'OTHER', { column: { enum: 'Mood' }, enums: [mood] }],
    [
      'Mood',
      '"fine"',
      bad(/holds a text that Strict does not declare/),
      { column: { enum: 'Strict' }, enums: [strict] },
    ],
  ],
  'null is a value where the column takes it, and refused where not': [
    ['String', 'null', null],
    ['String!', 'null', bad(/^T\.x is null, but declared non-null$/)],
    ['[String!]', 'null', null],
    ['[String!]', '["a",null]', bad(/holds a null element/)],
    ['[String!]', '"a"', bad(/is text, expected an array/)],
  ],
  'a value that Debezium did not send keeps what is stored': [
    ['String', '"__debezium_unavailable_value"', 'absent'],
    ['String!', '"__debezium_unavailable_value"', 'absent'],
    ['JSON', '"__debezium_unavailable_value"', 'absent'],
    ['String', '"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="', 'absent'],
    ['[String!]', '["__debezium_unavailable_value"]', 'absent'],
    ['[Int!]', JSON.stringify([...Buffer.from('__debezium_unavailable_value')]), 'absent'],
    ['JSON', '"{\\"__debezium_unavailable_value\\":\\"__debezium_unavailable_value\\"}"', 'absent'],
    ['String', '"__debezium_unavailable_value"', '__debezium_unavailable_value', { source: json }],
  ],
}

for (const [law, rows] of Object.entries(cases)) {
  describe(law, () => {
    for (const [type, text, expected, options] of rows) {
      test(`${type} from ${text} ${options ? JSON.stringify(options) : ''}`, () => {
        expect(cellOf(type, text, options)).toEqual(expected)
      })
    }
  })
}

test('no reason quotes a value', () => {
  const secret = 'hunter2@example.org'
  const types = ['Int', 'Long', 'Float', 'Decimal', 'Boolean', 'DateTime', 'Date', '[String!]', 'JSON', 'Mood']
  for (const type of types) {
    const options = type === 'Mood' ? { column: { enum: 'Strict' }, enums: [strict] } : {}
    const cell = cellOf(type, JSON.stringify(secret), options)
    expect(cell).toHaveProperty('bad')
    expect(JSON.stringify(cell)).not.toContain('hunter2')
  }
})
