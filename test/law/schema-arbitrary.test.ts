import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatFault, parseSchema } from '../../src/model/load.ts'
import { check, seed } from './runs.ts'
import { schemaArbitrary } from './schema-arbitrary.ts'

test('every generated declaration is valid', { timeout: 120_000 }, async () => {
  await check(
    200,
    fc.asyncProperty(schemaArbitrary, async (text) => {
      const loaded = await parseSchema([{ name: 'zoo.graphql', text }])
      expect(loaded.ok ? [] : loaded.faults.map(formatFault)).toEqual([])
    }),
  )
})

/** What a view can say, by how it stands in a declaration. */
const SAID: Readonly<Record<string, RegExp>> = {
  'an aggregate over two to-many joins': /@(sum|avg|count)\(of: "(\w+s\.){2,}\w+/,
  'an aggregate with a condition': /@count\(of: "\w+", where:/,
  'different values': /distinct: true/,
  'an average': /@avg\(/,
  'an extreme': /@(min|max)\(/,
  'an extreme over two to-many joins': /@(min|max)\(of: "(\w+s\.){2,}\w+/,
  'an extreme with a condition': /@(min|max)\(of: "\w+s\.\w+", where:/,
  'an extreme of members': /groupBy[^}]*@(min|max)\(of: "\w+"/,
  'an extreme over joins of members': /groupBy[^}]*@(min|max)\(of: "\w+s\./,
  'an extreme of text': /: String @(min|max)\(/,
  'a window': /window: \{ on: "\w+"/,
  'a window over a time that a join reaches': /window: \{ on: "\w+\./,
  'a list of parts': /\[V\dP\d+!\]! @list/,
  'a first value': /@first\(/,
  'an order through a join': /orderBy: \[?\{ \w+: \{/,
  'a part in a part': /type V\dP\d+ @part[^}]*V\dP\d+/,
  'groups by several fields': /groupBy: \["\w+","\w+"/,
  'a group that a join reaches': / through: /,
  'a bucket of a day in a zone': /by: (DAY|WEEK), zone: "[A-Z][a-z]+\//,
  'an aggregate over joins of members': /groupBy[^}]*@(count|sum|avg)\(of: "\w+s[."]/,
  'an expression over an aggregate': /f\d+Over: Boolean/,
  'a computed column': /made\d: \w+!? @expr/,
  'a value shown by a condition': /@allow\(when:/,
  'a join of many to many': /near\w+s: \[\w+!\]! @join/,
  'a join by two columns that are no key': /from: \["kind","area"\]/,
  'a join of several to one that picks': /pick:/,
  'a join to itself': / up: /,
  'a second join to the same': / other\w+: \w+ @join/,
  'a key of two columns': /key: \["code","line"\]/,
  'a key of a decimal': /key: \["number"\]/,
  'a key of an instant': /key: \["since"\]/,
  'a key of an enum, a truth and a day': /key: \["grade","odd","shelf"\]/,
  'a key with the tenant in it': /key: \["tenantId"/,
  'a bucket of a row of its own': / f\d+: DateTime!? @from\([^)]*bucket/,
  'an extreme of what is no exact number': /f\d+: Float @(min|max)/,
  'a tenant that a join reaches': /@join\([^)]*\) @tenant/,
  'a shared entity': /shared: true/,
  'a condition of deletion': /deleted: /,
  'rows that are kept for a time': /type V\d @view\((?!.*groupBy).*@retention/,
  'groups that are kept for a time': /groupBy.*@retention/,
  'rows of few members unseen': /minGroup/,
  'searchable aggregates': /@(count|sum|avg)\([^@\n]*\) @(filter|order)/,
}

test('among two hundred declarations everything is said that a view can say', () => {
  const texts = fc.sample(schemaArbitrary, { seed, numRuns: 200 })
  const unsaid = Object.entries(SAID).filter(([, pattern]) => !texts.some((text) => pattern.test(text)))
  expect(unsaid, `FOREBAY_LAW_SEED=${seed}`).toEqual([])
})
