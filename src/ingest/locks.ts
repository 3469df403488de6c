/** Advisory locks, by class (first key). They belong to the session or transaction that holds them and vanish with it. */
export const locks = {
  /** Shared by every apply transaction, exclusive for registering a generation (C8). */
  catalog: 74_001,
  /** One per shard of the key space: its holder alone recomputes the shard's keys (C6). */
  shard: 74_002,
  /** Shared by every maintainer, so that they can count each other. */
  maintainer: 74_003,
  /** One per replay: its holder alone works it. */
  replay: 74_004,
  /** One per feed, by a hash of its name: its holder alone streams it. */
  feed: 74_005,
  /** One per topic: who gives its partitions their positions (C16). */
  positions: 74_006,
  /** One per entity: its holder takes away rows that no record deletes (C13, C17). */
  sweep: 74_007,
  /** One per pass of a reconciliation: its holder alone walks it. */
  reconcile: 74_008,
  /** Its holder fills, proves, switches and retires generations. */
  rebuild: 74_010,
  /** One per generation: shared by rounds that leave out what its filling brings, exclusive for a node's filling to begin (C8). */
  fill: 74_012,
  /** One per definition, shared by the running processes whose folder declares it. */
  declared: 74_013,
  /** Its holder makes indexes on view tables that are there already. */
  indexes: 74_011,
} as const
