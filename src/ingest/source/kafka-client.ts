/** The one way of speaking to brokers. */
import kafkajs, { type Kafka as Client } from 'kafkajs'
import { connectionOptions, type KafkaSecurity } from '../../platform/kafka.ts'
import { log } from '../../platform/log.ts'

// Node finds not all of a CommonJS module's names, so they are taken from its default.
const { Kafka, logLevel } = kafkajs

export type Brokers = { readonly brokers: readonly string[]; readonly security?: KafkaSecurity }

export const kafkaClient = ({ brokers, security }: Brokers): Client =>
  new Kafka({
    clientId: 'forebay',
    ...connectionOptions(brokers, security),
    logLevel: logLevel.WARN,
    // Its own words are for debugging; what matters is said by who uses it.
    logCreator: () => (entry) => log.debug('kafkajs', { level: entry.label, message: entry.log.message }),
    connectionTimeout: 3_000,
    retry: { retries: 5, initialRetryTime: 100, maxRetryTime: 2_000 },
  })
