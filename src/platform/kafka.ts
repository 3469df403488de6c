/** How brokers are reached beside their addresses: TLS and SASL, as the environment says. */
import { readFileSync } from 'node:fs'
import type { KafkaConfig, SASLOptions } from 'kafkajs'
import { describeError } from './log.ts'
import { present } from './present.ts'

const mechanisms = { PLAIN: 'plain', 'SCRAM-SHA-256': 'scram-sha-256', 'SCRAM-SHA-512': 'scram-sha-512' } as const
type Mechanism = keyof typeof mechanisms

/** `tls`: PEM texts; without `ca` the certificates that Node trusts. Absent: plain text. */
export type KafkaSecurity = {
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string }
  readonly sasl?: { readonly mechanism: Mechanism; readonly username: string; readonly password: string }
}

const names = [
  'KAFKA_GROUP',
  'KAFKA_SSL',
  'KAFKA_SSL_CA',
  'KAFKA_SSL_CERT',
  'KAFKA_SSL_KEY',
  'KAFKA_SASL_MECHANISM',
  'KAFKA_SASL_USERNAME',
  'KAFKA_SASL_PASSWORD',
]

/** Reads what `text` answers for the variables above, files included; adds to `faults`, which never hold a value. */
export const readKafkaSecurity = (
  text: (name: string) => string | undefined,
  faults: string[],
): KafkaSecurity | undefined => {
  const given = names.filter((name) => text(name) !== undefined)
  if (given.length === 0) return undefined
  if (text('KAFKA_BROKERS') === undefined)
    for (const name of given) faults.push(`${name} has no effect without KAFKA_BROKERS; set both or neither`)
  return present({ tls: readTls(text, faults), sasl: readSasl(text, faults) })
}

const readTls = (text: (name: string) => string | undefined, faults: string[]): KafkaSecurity['tls'] => {
  const wanted = text('KAFKA_SSL')?.toLowerCase()
  if (wanted !== undefined && wanted !== 'true' && wanted !== 'false')
    faults.push('KAFKA_SSL is neither true nor false; write true where the brokers speak TLS')
  const pem = (name: string, kind: RegExp): string | undefined => {
    const path = text(name)
    if (path === undefined) return undefined
    if (wanted !== 'true') faults.push(`${name} has no effect without KAFKA_SSL; write KAFKA_SSL=true`)
    try {
      const read = readFileSync(path, 'utf8')
      if (!kind.test(read))
        faults.push(`${name} names a file that is not PEM; write the path of one with ${kind.source}`)
      return read
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      faults.push(`${name} names a file that can't be read (${code}); write the path of a PEM file`)
      return undefined
    }
  }
  const found = {
    ca: pem('KAFKA_SSL_CA', /BEGIN CERTIFICATE/),
    cert: pem('KAFKA_SSL_CERT', /BEGIN CERTIFICATE/),
    key: pem('KAFKA_SSL_KEY', /BEGIN .*PRIVATE KEY/),
  }
  if ((text('KAFKA_SSL_CERT') === undefined) !== (text('KAFKA_SSL_KEY') === undefined))
    faults.push('KAFKA_SSL_CERT and KAFKA_SSL_KEY come together; set both or neither')
  return wanted === 'true' ? present(found) : undefined
}

const readSasl = (text: (name: string) => string | undefined, faults: string[]): KafkaSecurity['sasl'] => {
  const [mechanism, username, password] = ['MECHANISM', 'USERNAME', 'PASSWORD'].map((part) =>
    text(`KAFKA_SASL_${part}`),
  )
  if (mechanism === undefined && username === undefined && password === undefined) return undefined
  for (const part of ['MECHANISM', 'USERNAME', 'PASSWORD'])
    if (text(`KAFKA_SASL_${part}`) === undefined)
      faults.push(`KAFKA_SASL_${part} is missing; mechanism, username and password come together`)
  if (mechanism !== undefined && !Object.hasOwn(mechanisms, mechanism))
    faults.push(`KAFKA_SASL_MECHANISM is not one of ${Object.keys(mechanisms).join(', ')}; write one of these`)
  return { mechanism: mechanism as Mechanism, username: username ?? '', password: password ?? '' }
}

/** As kafkajs takes it. */
export type KafkaConnection = Pick<KafkaConfig, 'ssl' | 'sasl'> & { brokers: string[] }

export const connectionOptions = (brokers: readonly string[], { tls, sasl }: KafkaSecurity = {}): KafkaConnection => ({
  brokers: [...brokers],
  ...(tls ? { ssl: { ...tls, rejectUnauthorized: true } } : {}),
  ...(sasl ? { sasl: { ...sasl, mechanism: mechanisms[sasl.mechanism] } as SASLOptions } : {}),
})

/** Why brokers can't be used, with the variable that may be the cause. Never a secret. */
export const brokerTrouble = (error: unknown): string => {
  const message = String(describeError(error).message)
  if (isLoginRefused(error)) return `the brokers refuse KAFKA_SASL_USERNAME with KAFKA_SASL_PASSWORD: ${message}`
  if (/certificate/i.test(message)) return `${message}: see KAFKA_SSL_CA`
  if (message === 'Closed connection')
    return `${message}, as brokers do with who leaves out the TLS or the login that they ask for: see KAFKA_SSL and KAFKA_SASL_MECHANISM`
  return message
}

const awayErrors = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSBrokerNotFound',
])
/** No broker answers, as far as kafkajs's own tries have got: not one that answers with a refusal, or with another's fault. */
export const areBrokersAway = (error: unknown): boolean =>
  error instanceof Error && (awayErrors.has(error.name) || areBrokersAway(error.cause))

/** The brokers answer and refuse who asks: trying again at once is of no use, and may lock an account. */
export const isLoginRefused = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'KafkaJSSASLAuthenticationError' || isLoginRefused(error.cause))
