/** Rows that a record holds within it, in a format whose deletes carry no version. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDecoder } from '../../src/ingest/decode.ts'
import { type Engine, openEngine } from './engine.ts'
import { loadModel } from './model.ts'
import { expectApplied, stretchOf } from './stretch.ts'

const NOTES = `
extend enum Role { READER }
extend schema @domain(name: "notes", owner: "law", source: { format: JSON, naming: AS_IS, version: "at" })
type Note @entity(domain: "notes", key: "id", shared: true, source: { topic: "notes" }) {
  id: ID!
  tags: [NoteTag!]! @join(to: "id")
}
type NoteTag @entity(domain: "notes", key: ["id", "tag"], shared: true, source: { topic: "notes", each: "tags" }) {
  id: ID!
  tag: String!
}
type TagUse @view(of: "NoteTag") @allow(roles: [READER]) { id: ID! tag: String! }
`
let engine: Engine
beforeAll(async () => {
  engine = await openEngine(await loadModel(NOTES))
})
afterAll(() => engine.database.drop())

/** What a note's log says, one letter a tag; null deletes it. */
type Said = { readonly at: number; readonly tags: string } | null
let notes = 0

/** The tags left of a new note once its records are applied, so many at a time. */
const tagsAfter = async (said: readonly Said[], batch: number): Promise<string> => {
  const partition = notes++
  const id = `n${partition}`
  const { sql } = engine.database
  const decoder = createDecoder(engine.model)
  await sql`insert into forebay.positions (topic, partition, next_offset) values ('notes', ${partition}, 0)`
  const records = said.map((one, i) => ({
    topic: 'notes',
    partition,
    offset: BigInt(i),
    timestamp: 0,
    key: Buffer.from(JSON.stringify({ id })),
    value: one && Buffer.from(JSON.stringify({ id, at: one.at, tags: [...one.tags].map((tag) => ({ tag })) })),
    headers: {},
  }))
  for (let from = 0; from < records.length; from += batch)
    expectApplied(await engine.applier.apply([stretchOf(decoder, records.slice(from, from + batch), BigInt(from))]))
  const rows = await sql<{ tag: string }[]>`select tag from notes.note_tag where id = ${id} and _live order by tag`
  return rows.map(({ tag }) => tag).join('')
}

test.each([
  ['a delete takes the rows within its record', [{ at: 1, tags: 'ab' }, null], ''],
  ['what comes again after a delete is there again', [{ at: 1, tags: 'ab' }, null, { at: 2, tags: 'c' }], 'c'],
  ['an older record after a delete brings nothing back', [{ at: 5, tags: 'ab' }, null, { at: 3, tags: 'c' }], ''],
  [
    'an older record changes nothing',
    [
      { at: 5, tags: 'ab' },
      { at: 3, tags: 'c' },
      { at: 6, tags: 'bd' },
    ],
    'bd',
  ],
] satisfies [string, readonly Said[], string][])('law 3 %s, in whatever batches', async (_, said, left) => {
  for (const batch of [1, 2, 3]) expect(await tagsAfter(said, batch), `${batch} at a time`).toBe(left)
})
