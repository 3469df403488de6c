/** Brokers of a cluster that die under a random history: what it has taken, and nothing else, is in the views, each record once. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { partitionName } from '../../src/ingest/source.ts'
import { type Client, kafkaClient } from '../kafka/client.ts'
import { startForebay } from '../support/forebay.ts'
import { type KafkaCluster, startKafkaCluster } from '../support/kafka-cluster.ts'
import { freshDatabase } from '../support/postgres.ts'
import { type Chaos, expectRight, left, makeChaos, type Sent, topics } from './chaos.ts'
import { later } from './fault-shop.ts'

/** FOREBAY_BROKER_KILLS: how often a leader dies. */
const kills = Number(process.env.FOREBAY_BROKER_KILLS ?? 2)
const nodes = 3
const paceMs = 80

/**
 * As producers with acks=all do: the same again, until there is an answer, so some of it may come twice. kafkajs drops what is for a
 * partition without a leader, or that moves to one it has sent to already, and says nothing, but does not name it among what was taken.
 */
const sendAll = async ({ producer }: Client, records: readonly Sent[]) => {
  for (let start = 0; start < records.length; start += 20) {
    const groups = Map.groupBy(records.slice(start, start + 20), ({ topic }) => topic)
    const topicMessages = [...groups].map(([topic, messages]) => ({ topic, messages: [...messages] }))
    const asked = new Set(topicMessages.flatMap(({ messages }) => messages.map(partitionName)))
    const taken = () =>
      producer.sendBatch({ topicMessages, acks: -1 }).then(
        (answers) => {
          const taken = answers.map(({ topicName: topic, partition }) => partitionName({ topic, partition }))
          return asked.difference(new Set(taken)).size === 0
        },
        () => false,
      )
    while (!(await taken())) await sleep(100)
    await sleep(paceMs)
  }
}

const partitionsOf = async ({ admin }: Client) => {
  const { topics: found } = await admin.fetchTopicMetadata({ topics: [...topics] })
  return found.flatMap(({ partitions }) => partitions)
}
const inSync = (client: Client) => async (): Promise<boolean> => {
  const found = await partitionsOf(client).catch(() => [])
  return found.length > 0 && found.every(({ isr }) => isr.length === nodes)
}
/** Of the partition that chance picks, whichever broker leads it then. */
const killLeader = async (cluster: KafkaCluster, client: Client, { draw }: Chaos): Promise<number> => {
  const found = await partitionsOf(client)
  const { leader } = found[draw.below(found.length)]!
  await cluster.kill(leader)
  return leader
}

test.skipIf(process.env.TEST_KAFKA_BROKERS)(
  `three brokers, a leader killed ${kills} times and started again: nothing is lost, nothing is applied twice`,
  async () => {
    const cluster = later(await startKafkaCluster(nodes), ({ stop }) => stop())
    const client = later(await kafkaClient(cluster.brokers), (made) => made.close())
    const chaos = await makeChaos(2_000)
    const { sql, url, drop } = await freshDatabase()
    later(sql, drop)
    await chaos.install(sql)
    const wanted = topics.map((topic) => ({ topic, numPartitions: 4, replicationFactor: nodes }))
    await client.admin.createTopics({ topics: wanted, waitForLeaders: true })
    const env = { ...chaos.place.env, DATABASE_URL: url, KAFKA_BROKERS: cluster.brokers.join() }
    const running = later(await startForebay({ ...chaos.place, env }, 'ingest'), ({ child }) => child.stop())
    const applied = async (): Promise<number> => {
      const [row] = await sql`select coalesce(sum(next_offset), 0)::int as n from forebay.positions`
      return row!.n
    }
    const goesOn = async (after: string) => {
      const before = (await applied()) + 20
      await expect.poll(applied, { timeout: 40_000, interval: 20, message: after }).toBeGreaterThan(before)
    }

    const share = Math.ceil(chaos.records.length / (kills + 1))
    const sendShare = (round: number) => sendAll(client, chaos.records.slice(round * share, (round + 1) * share))
    for (let round = 0; round < kills; round++) {
      const sending = sendShare(round)
      await goesOn('more is sent')
      await sleep(chaos.draw.below(500))
      const died = performance.now()
      const node = await killLeader(cluster, client, chaos)
      await goesOn('a leader died')
      await sending
      console.info(`broker ${node} killed, all went on within ${Math.round(performance.now() - died)} ms`)
      cluster.restart(node)
      await expect.poll(inSync(client), { timeout: 60_000, interval: 200 }).toBe(true)
    }
    await sendShare(kills)

    const end = await client.count(topics)
    expect(end).toBeGreaterThanOrEqual(chaos.records.length)
    await expect.poll(applied, { timeout: 60_000 }).toBe(end)
    await expect.poll(async () => (await left(sql)).entries, { timeout: 30_000 }).toBe(0)
    await expectRight(sql, chaos)
    expect(await sql`select topic, reason from forebay.positions where state <> 'RUNNING'`).toEqual([])
    expect(await sql`select reason from forebay.quarantine limit 3`).toEqual([])
    expect(running.child.alive(), running.child.output()).toBe(true)
  },
  300_000,
)
