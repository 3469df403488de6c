/** Fills every generation that isn't whole, with a maintainer that owns every shard. */
import type { Catalog } from '../../src/ingest/generations.ts'
import type { Maintainer } from '../../src/ingest/maintain/maintainer.ts'
import { fillStep } from '../../src/ingest/rebuild/fill.ts'
import type { Sql } from '../../src/platform/postgres.ts'

export const fillAll = async (sql: Sql, catalog: Catalog, maintainer: Pick<Maintainer, 'round'>): Promise<void> => {
  for (const generation of catalog.generations)
    while ((await fillStep(sql, generation, 1_000)).kind !== 'filled') while ((await maintainer.round()).entries > 0);
  while ((await maintainer.round()).entries > 0);
}
