/**
 * A topic's id is its own and no later topic's of that name (KIP-516). kafkajs asks for metadata in a version that has none, so this
 * asks in version 10, which brokers since 2.8 answer, over kafkajs's own connections.
 */
import type { Admin } from 'kafkajs'

const metadata = { apiKey: 3, apiVersion: 10, apiName: 'Metadata' } as const

/** As much of kafkajs's encoder as it looks at. */
type Encoded = { readonly buf: Buffer; readonly buffer: Buffer }
type Request = {
  readonly request: typeof metadata & { encode(): Promise<Encoded> }
  readonly response: { decode(bytes: Buffer): Promise<Topics>; parse(topics: Topics): Promise<Topics> }
}
type Broker = {
  readonly versions: Readonly<Record<number, { readonly maxVersion: number }>> | null
  readonly connectionPool: { send(request: Request): Promise<Topics> }
  isConnected(): boolean
  connect(): Promise<void>
}
/** What the patch of kafkajs shows of an admin. */
type Cluster = {
  /** Asks for these along with all that it was asked for before. */
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>
  findControllerBroker(): Promise<Broker>
  findBroker(of: { nodeId: string }): Promise<Broker>
  findLeaderForPartitions(topic: string, partitions: readonly number[]): Readonly<Record<string, unknown>>
}
export const clusterOf = (admin: Admin): Cluster => (admin as Admin & { readonly cluster: Cluster }).cluster

/** Ids by name. Left out: topics that don't exist, and all of them where the broker is older than 2.8. */
export type Topics = ReadonlyMap<string, string>

/** Asks that broker, or the controller. */
export const describeTopics = async (cluster: Cluster, topics: readonly string[], nodeId?: string): Promise<Topics> => {
  const broker = await (nodeId === undefined ? cluster.findControllerBroker() : cluster.findBroker({ nodeId }))
  if (!broker.isConnected()) await broker.connect()
  if ((broker.versions?.[metadata.apiKey]?.maxVersion ?? 0) < metadata.apiVersion) return new Map()
  const asked = encodeRequest(topics)
  return broker.connectionPool.send({
    request: { ...metadata, encode: async () => ({ buf: asked, buffer: asked }) },
    response: { decode: async (bytes) => decodeResponse(bytes), parse: async (read) => read },
  })
}

/** An unsigned number in groups of seven bits, the least first. */
const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)])
/** No tagged field follows: where one might, in header and body. */
const noTags = 0

const encodeRequest = (topics: readonly string[]): Buffer =>
  Buffer.concat([
    Buffer.from([noTags, ...varint(topics.length + 1)]),
    ...topics.flatMap((topic) => {
      const name = Buffer.from(topic)
      return [Buffer.alloc(16), Buffer.from(varint(name.length + 1)), name, Buffer.from([noTags])]
    }),
    // Make no topics; nobody's rights are asked for.
    Buffer.from([0, 0, 0, noTags]),
  ])

const decodeResponse = (bytes: Buffer): Topics => {
  let at = 0
  const skip = (size: number): void => {
    at += size
  }
  const take = (size: number): Buffer => {
    skip(size)
    return bytes.subarray(at - size, at)
  }
  const unsigned = (): number => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes.readUInt8(at++)
      value |= (byte & 127) << shift
      if (byte < 128) return value
    }
  }
  const text = (): string => take(Math.max(0, unsigned() - 1)).toString()
  const each = <T>(read: () => T): T[] => Array.from({ length: Math.max(0, unsigned() - 1) }, read)
  const tags = (): void => {
    for (let left = unsigned(); left > 0; left--) {
      unsigned()
      skip(unsigned())
    }
  }
  tags()
  skip(4) // throttled for
  each(() => {
    skip(4) // node
    text() // host
    skip(4) // port
    text() // rack
    tags()
  })
  text() // cluster
  skip(4) // controller
  const topics = each(() => {
    const code = bytes.readInt16BE(at)
    skip(2)
    const name = text()
    const id = take(16).toString('hex')
    skip(1) // internal
    each(() => {
      skip(2 + 4 + 4 + 4) // code, partition, leader, its epoch
      for (const _ of ['replicas', 'in sync', 'offline']) each(() => skip(4))
      tags()
    })
    skip(4) // rights
    tags()
    return { code, name, id: uuid(id) }
  })
  return new Map(topics.flatMap(({ code, name, id }) => (code === 0 ? [[name, id]] : [])))
}

const uuid = (hex: string): string => hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
