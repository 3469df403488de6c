/** A gateway over a database that something else keeps up: real HTTP, development tokens. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startGateway } from '../../src/gateway/main.ts'
import type { Model } from '../../src/model/model.ts'
import { developmentToken, type TokenClaims } from '../../src/operate/token.ts'
import { readConfig } from '../../src/platform/config.ts'
import { serve } from '../../src/platform/http.ts'
import { connect } from '../../src/platform/postgres.ts'
import type { Database } from './postgres.ts'

export type Asked = {
  /** The answer's body. */
  // biome-ignore lint/suspicious/noExplicitAny: an answer's shape is the test's own knowledge
  ask(asker: TokenClaims, query: string, variables?: Readonly<Record<string, unknown>>): Promise<any>
  readonly url: string
  token(asker: TokenClaims): Promise<string>
  stop(): Promise<void>
}

/** `environment`: what else the gateway is told, as REDIS_URL. */
export const startDesk = async (
  { url }: Database,
  model: Model,
  environment: Readonly<Record<string, string>> = {},
): Promise<Asked> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'forebay-desk-'))
  const config = readConfig({ ...environment, DATABASE_URL: url, FOREBAY_DATA: dataDir, PORT: '0' })
  const sql = connect(url, { max: 2, name: 'desk' })
  const gateway = await startGateway({ config, model, sql })
  const server = await serve({ port: 0, routes: gateway.routes })
  return {
    url: `http://127.0.0.1:${server.port}/graphql`,
    token: (asker) => developmentToken(config, asker),
    async ask(asker, query, variables = {}) {
      const response = await fetch(`http://127.0.0.1:${server.port}/graphql`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${await developmentToken(config, asker)}`,
        },
        body: JSON.stringify({ query, variables }),
      })
      return response.json()
    },
    async stop() {
      await server.close()
      await gateway.stop()
      await sql.end({ timeout: 1 })
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
