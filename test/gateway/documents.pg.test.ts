/** Documents that are named instead of sent: trusted ones, and those that were sent before. */
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManifestError, readManifests } from '../../src/gateway/documents/manifest.ts'
import { desk } from './support/desk.ts'
import { followOver } from './support/live.ts'
import { readModel, startWorld, type World } from './support/world.ts'

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex')
const one = 'query One($id: ID!) { customerCard(id: $id) { id tier } }'
const live = 'subscription Live { customerCardChanged(id: "ada") { id } }'
const other = '{ customerCard(id: "bob") { id } }'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'forebay-documents-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))
const file = async (name: string, content: unknown): Promise<string> => {
  const path = join(folder, name)
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}
const sent = async (world: World, body: object, search?: string) => {
  const init = {
    headers: { 'content-type': 'application/json', authorization: `Bearer ${await world.token({ roles: ['AGENT'] })}` },
  }
  const response = search
    ? await fetch(`${world.url}/graphql${search}`, { headers: { authorization: init.headers.authorization } })
    : await fetch(`${world.url}/graphql`, { ...init, method: 'POST', body: JSON.stringify(body) })
  const { data, errors } = (await response.json()) as {
    data?: unknown
    errors?: { message: string; extensions: { code: string } }[]
  }
  return { status: response.status, data, code: errors?.[0]?.extensions.code, message: errors?.[0]?.message }
}
const persisted = (sha256Hash: string) => ({ extensions: { persistedQuery: { version: 1, sha256Hash } } })

describe('trusted alone', () => {
  let world: World
  beforeAll(async () => {
    const shapes = [
      await file('codegen.json', { [hashOf(one)]: one }),
      await file('apollo.json', {
        format: 'apollo-persisted-query-manifest',
        version: 1,
        operations: [{ id: 'live-1', name: 'Live', type: 'subscription', body: live }],
      }),
    ]
    world = await startWorld({
      model: await readModel('test/graphql/schema'),
      rows: desk,
      trustedDocuments: shapes,
      onlyTrusted: true,
    })
  })
  afterAll(() => world?.stop())

  test('a trusted document is answered by its id, however that is written, and by its text', async () => {
    const variables = { id: 'ada' }
    const wanted = { status: 200, data: { customerCard: { id: 'ada', tier: 'GOLD' } } }
    for (const body of [
      { documentId: hashOf(one), variables },
      { documentId: `sha256:${hashOf(one)}`, variables },
      { ...persisted(hashOf(one)), variables },
      { query: one, variables },
      { ...persisted(hashOf(one)), query: other, variables },
    ])
      for (let times = 0; times < 2; times++) expect(await sent(world, body)).toMatchObject(wanted)
    const search = new URLSearchParams({ documentId: hashOf(one), variables: JSON.stringify(variables) })
    for (let times = 0; times < 2; times++) expect(await sent(world, {}, `?${search}`)).toMatchObject(wanted)
  })

  test('whatever else is asked is refused, live as well', async () => {
    for (const body of [
      { query: other },
      { documentId: hashOf(other) },
      { ...persisted(hashOf(other)), query: other },
      { documentId: 7 },
    ])
      expect(await sent(world, body), JSON.stringify(body)).toMatchObject({ status: 400, code: 'BAD_USER_INPUT' })
    const token = await world.token({ roles: ['AGENT'] })
    const refused = followOver('WebSocket', world.url, token, {
      query: 'subscription { customerCardChanged(id: "bob") { id } }',
    })
    const answered = followOver('WebSocket', world.url, token, { query: live })
    await expect.poll(() => [refused.all.length, answered.all.length], { timeout: 30_000 }).toEqual([1, 1])
    expect([refused.all[0].errors[0].extensions.code, answered.all[0].data]).toEqual([
      'BAD_USER_INPUT',
      { customerCardChanged: { id: 'ada' } },
    ])
  })
})

describe('documents that were sent before', () => {
  let world: World
  beforeAll(async () => {
    world = await startWorld({ model: await readModel('test/graphql/schema'), rows: desk })
  })
  afterAll(() => world?.stop())

  test('a hash that is not known asks for the document, which is known from then on', async () => {
    expect(await sent(world, persisted(hashOf(other)))).toMatchObject({
      status: 200,
      code: 'PERSISTED_QUERY_NOT_FOUND',
      message: 'PersistedQueryNotFound',
    })
    const wanted = { status: 200, data: { customerCard: { id: 'bob' } } }
    expect(await sent(world, { ...persisted(hashOf(other)), query: other })).toMatchObject(wanted)
    for (let times = 0; times < 2; times++) expect(await sent(world, persisted(hashOf(other)))).toMatchObject(wanted)
  })

  test('a hash of something else is refused, and takes no document’s place', async () => {
    expect(await sent(world, { ...persisted(hashOf(one)), query: other })).toMatchObject({
      status: 400,
      code: 'BAD_USER_INPUT',
    })
    expect(await sent(world, persisted(hashOf(one)))).toMatchObject({ code: 'PERSISTED_QUERY_NOT_FOUND' })
  })

  test('manifests with faults are named with all of them, and where they are', async () => {
    const { buildSchema } = await import('graphql')
    const schema = buildSchema('type Query { a: Int }')
    const files = [
      await file('text.json', 'no json'),
      await file('list.json', []),
      await file('faults.json', { good: '{ a }', unknown: '{ b }', broken: '{', none: 3 }),
      await file('twice.json', { good: '{ again: a }' }),
      join(folder, 'nowhere.json'),
    ]
    const error = (await readManifests(files, schema).catch((reason: unknown) => reason)) as ManifestError
    expect(error).toBeInstanceOf(ManifestError)
    const shown = error.faults.map((fault) => fault.replaceAll(`${folder}/`, ''))
    expect(shown.map((fault) => fault.split(':').slice(0, 2).join(':'))).toEqual([
      'text.json: it is not JSON',
      'list.json: it is neither {"<id>"',
      'faults.json: unknown',
      'faults.json: broken',
      'faults.json: none',
      'twice.json: good',
      "nowhere.json: it can't be read",
    ])
    expect(shown[2]).toContain('Cannot query field "b"')
  })
})
