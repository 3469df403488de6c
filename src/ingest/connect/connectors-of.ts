/** Whose commits can be asked for: topics that Debezium fills from a Postgres that the environment names as their prefix. */
import { type Entity, isDebezium, type Model } from '../../model/model.ts'
import type { Connections } from '../feed/feeds-of.ts'
import type { Connector } from './source-moments.ts'

/** `crm.public.customers` is of the connector with topic.prefix `crm`, and its source is FOREBAY_CONNECTION_CRM. */
export const connectorsOf = (model: Model, connections: Connections): readonly Connector[] => {
  const topics = new Set([...model.entities.values()].filter(fromDebezium).map(({ source }) => source.topic))
  const servers = Map.groupBy([...topics], (topic) => topic.split('.').slice(0, -2).join('.'))
  return [...servers].flatMap(([server, of]) => {
    const url = connections[connectionOf(server)]
    return url === undefined ? [] : [{ server, url, topics: of }]
  })
}

const fromDebezium = ({ source }: Entity): boolean => source.table === undefined && isDebezium(source.format)

const connectionOf = (server: string): string => server.replace(/\W/g, '_').toLowerCase()
