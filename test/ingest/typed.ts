/** The captured table of every type, and what its row 1 holds. */
import type { Entity, Source } from '../../src/model/model.ts'
import { column, entity } from './entities.ts'

export const typed = (source: Partial<Source>): Entity =>
  entity(
    'Typed',
    ['id'],
    [
      column('id', 'Long!'),
      column('small', 'Int', { path: ['si'] }),
      column('big', 'Long', { path: ['bi'] }),
      column('bigId', 'ID', { path: ['bi'] }),
      column('num2', 'Decimal', { scale: 4 }),
      column('money', 'Decimal', { scale: 2, path: ['mon'] }),
      column('real', 'Float', { path: ['r'] }),
      column('yes', 'Boolean', { path: ['b'] }),
      column('bit', 'Boolean', { path: ['bt1'] }),
      column('text', 'String', { path: ['t'] }),
      column('padded', 'String', { path: ['ch'] }),
      column('json', 'JSON', { path: ['js'] }),
      column('jsonb', 'JSON', { path: ['jb'] }),
      column('day', 'Date', { path: ['da'] }),
      column('local', 'DateTime', { path: ['ts'] }),
      column('instant', 'DateTime', { path: ['tstz'] }),
      column('instants', '[DateTime!]', { path: ['tsa'] }),
      column('moods', '[String!]', { path: ['mos'] }),
      column('pointX', 'Float', { path: ['pt', 'x'] }),
    ],
    source,
  )
export const everyType = {
  id: '1',
  small: -32768,
  big: '9223372036854775807',
  bigId: '9223372036854775807',
  num2: '10.5000',
  money: '1234.56',
  real: 1.1,
  yes: true,
  bit: true,
  text: 'a\tbé😀',
  padded: 'ab   ',
  json: { json: '{"a": 1.10, "a": 2}' },
  jsonb: { json: '{"b": null, "big": 12345678901234567890}' },
  day: '2024-02-29',
  local: '2024-03-10T02:30:00.123456Z',
  instant: '2024-03-10T00:30:00.123456Z',
  instants: ['2024-01-01T00:00:00Z'],
  moods: ['sad', 'ok'],
  pointX: 1.5,
}
