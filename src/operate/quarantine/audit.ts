/** forebay.audit: who did what, and why. No values and no keys: the audit outlives both. */
import type { Tx } from '../../ingest/apply/fence.ts'
import type { UntoldRecord } from '../../ingest/apply/held-record.ts'
import { partitionName } from '../../ingest/source.ts'

export type Drop = { readonly ids: readonly string[]; readonly reason: string; readonly actor: string }

export const note = async (
  tx: Tx,
  { actor, reason }: Drop,
  dropped: readonly Pick<UntoldRecord, 'id' | 'entity' | 'record'>[],
): Promise<void> => {
  const rows = dropped.map(({ id, entity, record }) => ({
    actor,
    reason,
    subject: `record ${id} at ${partitionName(record)}-${record.offset}, ${entity}`,
  }))
  await tx`
    insert into forebay.audit (actor, action, subject, reason)
    select actor, 'quarantine drop', subject, reason
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as x(actor text, subject text, reason text)`
}
