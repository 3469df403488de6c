import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePorts } from './child.ts'
import { ownRestartableKafka } from './kafka.ts'

export type SecureKafka = {
  /** Where anybody may speak in plain text. */
  readonly open: string[]
  /** Where TLS and a login are asked for. */
  readonly secured: string[]
  /** Path of the certificate that the broker's is verified by. */
  readonly ca: string
  stop(): Promise<void>
}
export const login = { username: 'ada', password: 'open-sesame' }

const run = promisify(execFile)

/** A broker that asks for TLS and SASL (PLAIN, SCRAM) on one listener. Its key and certificate come from Java's keytool. */
export const startSecureKafka = async (): Promise<SecureKafka> => {
  const [port] = (await freePorts(1)) as [number]
  const kafka = await ownRestartableKafka(1, {
    async settings(folder, usual) {
      const store = ['-keystore', join(folder, 'broker.p12'), '-storetype', 'PKCS12', '-storepass', 'changeit']
      const subject = ['-dname', 'CN=localhost', '-ext', 'san=dns:localhost,ip:127.0.0.1', '-ext', 'bc:c']
      await run('keytool', [
        '-genkeypair',
        '-alias',
        'broker',
        '-keyalg',
        'EC',
        '-validity',
        '30',
        ...subject,
        ...store,
      ])
      await run('keytool', ['-exportcert', '-rfc', '-alias', 'broker', '-file', join(folder, 'ca.pem'), ...store])
      const listener = `SASL_SSL://127.0.0.1:${port}`
      const security = 'org.apache.kafka.common.security'
      return {
        listeners: `${usual.listeners},${listener}`,
        'advertised.listeners': `${usual['advertised.listeners']},${listener}`,
        'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL',
        'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
        'listener.name.sasl_ssl.plain.sasl.jaas.config': `${security}.plain.PlainLoginModule required user_${login.username}="${login.password}";`,
        'listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config': `${security}.scram.ScramLoginModule required;`,
        'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config': `${security}.scram.ScramLoginModule required;`,
        'ssl.keystore.location': join(folder, 'broker.p12'),
        'ssl.keystore.type': 'PKCS12',
        'ssl.keystore.password': 'changeit',
      }
    },
    format: ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
      '--add-scram',
      `${mechanism}=[name=${login.username},password=${login.password}]`,
    ]),
  })
  const { kill9 } = await kafka.start()
  return {
    open: kafka.brokers,
    secured: [`127.0.0.1:${port}`],
    ca: join(kafka.folder, 'ca.pem'),
    stop: () => kill9().then(kafka.remove),
  }
}
