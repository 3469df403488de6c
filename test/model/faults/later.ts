import { customers, type FaultCase } from '../folder.ts'

export const laterFaults: readonly FaultCase[] = [
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
    rule: 'reveal is refused by name',
    sdl: 'extend schema @policy(role: ADMIN, reveal: ‸[EMAIL])',
    says: '`reveal` of @policy is not running yet',
  },
  {
    rule: 'class RESTRICTED is refused by name',
    sdl: 'type Thing @entity(domain: "shop", key: "id", source: { topic: "t" }) { id: ID! x: String @pii(kind: EMAIL, class: ‸RESTRICTED) }',
    says: 'class RESTRICTED of Thing.x is not running yet',
  },
]
