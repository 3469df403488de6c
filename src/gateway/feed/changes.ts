/**
 * What the change feed tells whoever keeps something made of rows: which rows changed, in the order of each feed, and when all that was
 * kept may be out of date. Keys and tenants are keyed hashes (C33); see src/platform/key-hash.ts for how they are made.
 */

/**
 * A row that was made, changed or went, as committed. `sequence`: of its feed, by one more with each transaction of maintenance that
 * changed rows; all rows of one have the same.
 */
export type RowChange = {
  readonly view: string
  readonly generation: number
  /** The view's definition: what its table, and rows in caches, are named by. */
  readonly hash: string
  /** Hash of the row's tenant; empty where the view has none. */
  readonly tenant: string
  /** Hash of definition, tenant and key. */
  readonly key: string
  readonly feed: string
  readonly sequence: number
}
export type DropReason = 'GAP' | 'LOST' | 'EPOCH' | 'CATALOG'
export type Listener = {
  /** What is made of these rows, or of their absence, is out of date. */
  changed(rows: readonly RowChange[]): void
  /** Too many rows of this generation changed to be named. */
  changedWhole(view: string, generation: number): void
  /** Anything may have changed: everything is dropped. Changes told later are those after it. */
  dropped(reason: DropReason): void
}
export type Changes = {
  /** Answers with what ends it. A listener must not throw, and must not wait: the next change is told only when all have returned. */
  listen(listener: Listener): () => void
}

/** `tell` calls every listener, in the order in which they came. */
export const createChanges = (): Changes & { readonly tell: Listener } => {
  const listeners = new Set<Listener>()
  const each = (call: (listener: Listener) => void): void => {
    for (const listener of listeners) call(listener)
  }
  return {
    listen(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    tell: {
      changed: (rows) => each((listener) => listener.changed(rows)),
      changedWhole: (view, generation) => each((listener) => listener.changedWhole(view, generation)),
      dropped: (reason) => each((listener) => listener.dropped(reason)),
    },
  }
}
