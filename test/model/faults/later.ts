import { customers, type FaultCase, orders } from '../folder.ts'

const sourced = (source: string, more = ''): string =>
  `type Thing @entity(domain: "shop", key: "id", source: ${source}${more}) { id: ID! at: DateTime! }`

export const laterFaults: readonly FaultCase[] = [
  {
    rule: 'windows are refused by name',
    sdl: customers('n: Int! @count(of: "orders", window: ‸{ on: "placedAt", last: "PT1H" })'),
    says: '`window` is not running yet',
  },
  {
    rule: '@gateway is refused by name',
    sdl: customers('tier: Tier!').replace(' {', ' ‸@gateway(key: "id", active: {}, scopes: "id", routes: []) {'),
    says: '@gateway is not running yet',
  },
  {
    rule: '@slo is refused by name',
    sdl: customers('tier: Tier!').replace(' {', ' ‸@slo(fresh: 99.5) {'),
    says: '@slo is not running yet',
  },
  {
    rule: '@retention is refused by name',
    sdl: sourced('{ topic: "t" }').replace(' { id', ' ‸@retention(ttl: "P1D") { id'),
    says: '@retention is not running yet',
  },
  {
    rule: 'reveal is refused by name',
    sdl: 'extend schema @policy(role: ADMIN, reveal: ‸[EMAIL])',
    says: '`reveal` of @policy is not running yet',
  },
  {
    rule: '@allow(when:) is refused by name',
    sdl: customers('tier: Tier! @allow(when: ‸{ id: { eq: "1" } })'),
    says: '`when` of @allow is not running yet',
  },
  {
    rule: 'class RESTRICTED is refused by name',
    sdl: 'type Thing @entity(domain: "shop", key: "id", source: { topic: "t" }) { id: ID! x: String @pii(kind: EMAIL, class: ‸RESTRICTED) }',
    says: 'class RESTRICTED of Thing.x is not running yet',
  },
  {
    rule: 'a bucket’s lateness is refused by name',
    sdl: orders('hour: DateTime! @from(path: "placedAt", bucket: { by: HOUR, lateness: ‸"PT15M" })'),
    says: '`lateness` of a bucket is not running yet',
  },
]
