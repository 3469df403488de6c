/**
 * Which member of the group reads which partition: as many each as can be, and otherwise as it was, since a partition that moves has
 * to be let go of, claimed and fetched anew. kafkajs's own assigner deals all of them out again at every rebalance.
 *
 * Each member tells, as it joins, what it had and since when. Of two that had the same partition the later one has it: the other was
 * away while the group went on.
 */
import kafkajs, { type PartitionAssigner } from 'kafkajs'
import { type Partition, partitionName } from '../source.ts'

const { AssignerProtocol } = kafkajs

export type Holding = { readonly since: number; readonly partitions: readonly Partition[] }
export type Member = Holding & { readonly id: string; readonly topics: readonly string[] }

/** A member's partitions by its id. Those of a topic that no member reads belong to nobody. */
export const share = (
  partitions: readonly Partition[],
  members: readonly Member[],
): ReadonlyMap<string, readonly Partition[]> => {
  const shares = new Map(members.map(({ id }) => [id, new Map<string, Partition>()]))
  const open = new Map(partitions.map((partition) => [partitionName(partition), partition]))
  for (const { id, topics, partitions: had } of members.toSorted((a, b) => b.since - a.since))
    for (const partition of had) {
      const name = partitionName(partition)
      if (!topics.includes(partition.topic) || !open.delete(name)) continue
      shares.get(id)!.set(name, partition)
    }
  const load = (member: Member): number => shares.get(member.id)!.size
  const least = (topic: string): Member | undefined =>
    members
      .filter(({ topics }) => topics.includes(topic))
      .toSorted((a, b) => load(a) - load(b) || (a.id < b.id ? -1 : 1))[0]
  const surplus = () => {
    for (const giver of members.toSorted((a, b) => load(b) - load(a)))
      for (const partition of shares.get(giver.id)!.values()) {
        const taker = least(partition.topic)
        if (taker !== undefined && load(giver) - load(taker) >= 2) return { giver, taker, partition }
      }
    return undefined
  }
  for (const [name, partition] of open) {
    const taker = least(partition.topic)
    if (taker !== undefined) shares.get(taker.id)!.set(name, partition)
  }
  // One at a time from who has most, until nobody has two more than another who may read it.
  for (let move = surplus(); move; move = surplus()) {
    shares.get(move.giver.id)!.delete(partitionName(move.partition))
    shares.get(move.taker.id)!.set(partitionName(move.partition), move.partition)
  }
  return new Map([...shares].map(([id, own]) => [id, [...own.values()]]))
}

/** `holding` answers what this member has at the moment. */
export const stickyAssigner =
  (holding: () => Holding): PartitionAssigner =>
  ({ cluster }) => ({
    name: 'forebay-sticky',
    version: 1,
    protocol: ({ topics }) => ({
      name: 'forebay-sticky',
      metadata: AssignerProtocol.MemberMetadata.encode({
        version: 1,
        topics,
        userData: Buffer.from(JSON.stringify(holding())),
      }),
    }),
    async assign({ members: joined }) {
      const members = joined.map(({ memberId, memberMetadata }) => memberOf(memberId, memberMetadata))
      const topics = new Set(members.flatMap((member) => member.topics))
      const unknown = [...topics].filter((topic) => cluster.findTopicPartitionMetadata(topic).length === 0)
      // One that is gone meanwhile keeps nobody from the others.
      if (unknown.length > 0) await cluster.addMultipleTargetTopics(unknown).catch(() => {})
      const partitions = [...topics].flatMap((topic) =>
        cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => ({ topic, partition: partitionId })),
      )
      return [...share(partitions, members)].map(([memberId, own]) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: 1,
          assignment: Object.fromEntries(
            [...Map.groupBy(own, ({ topic }) => topic)].map(([topic, some]) => [
              topic,
              some.map(({ partition }) => partition),
            ]),
          ),
          userData: Buffer.alloc(0),
        }),
      }))
    },
  })

const memberOf = (id: string, metadata: Buffer): Member => {
  const told = AssignerProtocol.MemberMetadata.decode(metadata)
  const { since, partitions } = JSON.parse(String(told?.userData)) as Holding
  return { id, topics: told?.topics ?? [], since, partitions }
}
