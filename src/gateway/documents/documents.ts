/**
 * Which document a request means: the one it sends, one that is trusted, by its id, or one that was sent before, by its hash (automatic
 * persisted queries, as Apollo's clients speak it). What stands here is bounded; hashes are checked, so that nobody's document takes another's place.
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { gauge, tally } from '../../platform/metrics.ts'
import { refusal } from '../errors.ts'
import type { Manifest } from './manifest.ts'

export type Documents = {
  /** The body with its document in it, and nothing of how it was named. Throws BAD_USER_INPUT or PERSISTED_QUERY_NOT_FOUND. */
  resolve(body: unknown): unknown
}

/** Characters of all that were sent to be kept. */
const mostCharacters = 2_000_000

const kept = gauge({
  name: 'forebay_persisted_documents',
  help: 'Documents that are known by a hash that a client sent with them.',
})
const asked = tally(
  { name: 'forebay_documents_total', help: 'Documents that requests named or sent, by how.', label: 'by' },
  ['text', 'trusted', 'persisted', 'unknown', 'untrusted'],
)

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex')

/** What a request names its document by, if it does. */
const nameOf = ({ documentId, extensions }: Readonly<Record<string, unknown>>): string | undefined => {
  const persisted = isRecord(extensions) ? extensions.persistedQuery : undefined
  const id = isRecord(persisted) ? persisted.sha256Hash : documentId
  if (id === undefined || id === null) return undefined
  if (typeof id !== 'string' || id.length > 200)
    throw refusal(
      'BAD_USER_INPUT',
      'documentId and extensions.persistedQuery.sha256Hash are strings of at most 200 characters.',
    )
  return id.replace(/^sha256:/, '')
}

/** `only`: nothing but what is trusted is answered. */
export const createDocuments = (trusted: Manifest, only: boolean): Documents => {
  const texts = new Set(trusted.values())
  const persisted = new LRUCache<string, string>({
    maxSize: mostCharacters,
    sizeCalculation: (text) => 64 + text.length,
  })
  const remember = (hash: string, text: string): void => {
    if (hashOf(text) !== hash)
      throw refusal('BAD_USER_INPUT', 'The sha256Hash is not that of the query; send the SHA-256 of its text, in hex.')
    persisted.set(hash, text)
    kept.set(persisted.size)
  }
  const textOf = (id: string, sent: unknown): string => {
    const known = trusted.get(id) ?? trusted.get(`sha256:${id}`)
    if (known !== undefined) {
      asked.trusted.count += 1
      return known
    }
    if (only) {
      asked.untrusted.count += 1
      throw refusal(
        'BAD_USER_INPUT',
        `${JSON.stringify(id)} is no trusted document here. Deploy the manifest that has it.`,
      )
    }
    if (typeof sent === 'string') {
      remember(id, sent)
      asked.text.count += 1
      return sent
    }
    const found = persisted.get(id)
    if (found === undefined) {
      asked.unknown.count += 1
      throw refusal('PERSISTED_QUERY_NOT_FOUND', 'PersistedQueryNotFound')
    }
    asked.persisted.count += 1
    return found
  }
  return {
    resolve: (body) => {
      if (!isRecord(body)) return body
      const id = nameOf(body)
      if (id === undefined) {
        if (only && !texts.has(String(body.query))) {
          asked.untrusted.count += 1
          throw refusal(
            'BAD_USER_INPUT',
            'Only trusted documents are answered here: send documentId, or extensions.persistedQuery.sha256Hash, of one.',
          )
        }
        asked.text.count += 1
        return body
      }
      const { documentId: _, extensions, ...rest } = body
      const { persistedQuery: __, ...others } = isRecord(extensions) ? extensions : {}
      return {
        ...rest,
        query: textOf(id, body.query),
        ...(Object.keys(others).length > 0 ? { extensions: others } : {}),
      }
    },
  }
}
