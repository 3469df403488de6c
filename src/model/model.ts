/**
 * The vocabulary of a declaration: what `schema/*.graphql` means once it is parsed and checked. Plain data, no behaviour.
 * Every name that a declaration resolves (entity, field, join, enum value) is known to exist here; nothing downstream checks again.
 */

import type { Literal, OrderBy, Where } from './condition.ts'
import type { Bucket, Window } from './event-time.ts'

/** Where a thing is declared. `line` and `column` count from 1. */
export type Place = { readonly file: string; readonly line: number; readonly column: number }

export type ScalarName =
  | 'ID'
  | 'String'
  | 'Int'
  | 'Long'
  | 'Float'
  | 'Boolean'
  | 'Decimal'
  | 'DateTime'
  | 'Date'
  | 'JSON'

/** The type of one value. `scale`: a Decimal's declared digits after the point; absent, trailing zeros are trimmed. */
export type ValueType =
  | { readonly kind: 'scalar'; readonly scalar: ScalarName; readonly scale?: number }
  | { readonly kind: 'enum'; readonly enum: string }

export type EnumType = {
  readonly name: string
  readonly values: readonly EnumValue[]
  /** The value that takes every undeclared source text; without it such a text is quarantined. */
  readonly other?: string
  readonly description?: string
}
/** `text`: the source text as declared by `@value(of:)`. Absent: the name, ignoring case, `-` and space read as `_`. */
export type EnumValue = { readonly name: string; readonly text?: string; readonly description?: string }

export type PiiClass = 'PERSONAL' | 'SENSITIVE' | 'RESTRICTED'
export type PiiTag = { readonly kind: string; readonly class: PiiClass }

// ── entities ────────────────────────────────────────────────────────────────────────────────────────────────────────
export type Entity = {
  readonly name: string
  readonly domain: string
  readonly description?: string
  /** Names of the key's columns (their field names), in the declared order. */
  readonly key: readonly string[]
  readonly columns: readonly Column[]
  readonly joins: readonly Join[]
  readonly tenant: Tenant
  /** The field or to-one join that leads to the person the row is about. */
  readonly subject?: string
  readonly source: Source
  readonly conflict: Conflict
  /** Rows for which it holds count as deleted. Own columns only. */
  readonly deleted?: Where
  readonly retention?: Retention
  readonly place: Place
}

/** Rows go once `on`, a column, is further back than `ttlMs`; without one, the event time of their latest change. Rows that have none stay. */
export type Retention = { readonly ttlMs: number; readonly on?: string }

/**
 * Which of two changes of one key wins. VERSION: the higher source version. EVENT_TIME: the later event time. FIELD_CLOCK: that, field by
 * field. OWNER: the higher version among those that `Source.owner` wrote; the others' don't count.
 */
export type Conflict = 'VERSION' | 'EVENT_TIME' | 'FIELD_CLOCK' | 'OWNER'

/** A scalar field of an entity, stored in the column `columnName(name)`; `list` columns are Postgres arrays. */
export type Column = {
  readonly name: string
  readonly type: ValueType
  readonly list: boolean
  readonly nonNull: boolean
  readonly description?: string
  readonly pii?: PiiTag
  /** Made of the row's other columns, and so in no record. */
  readonly computed?: Computed
  /** Steps from the record's row to the value, by exact source names. */
  readonly path: readonly string[]
  readonly encoding: Encoding
  readonly place: Place
}
/** `written`: the expression as declared. `sql`: over columns of the same table, quoted. `inputs`: the fields it reads, none of them computed. */
export type Computed = { readonly written: string; readonly sql: string; readonly inputs: readonly string[] }
export type Encoding =
  | 'AUTO'
  | 'SECONDS'
  | 'MILLIS'
  | 'MICROS'
  | 'NANOS'
  | 'DAYS'
  | 'ISO8601'
  | 'LOCAL'
  | 'DECIMAL_BYTES'
  | 'JSON_TEXT'

/** My `from` columns equal the target's `to` columns, pairwise, and the tenants are equal where both sides have one. */
export type Join = {
  readonly name: string
  readonly target: string
  readonly many: boolean
  /** The source promises that the other side exists (`X!`). Always true for to-many. */
  readonly promised: boolean
  readonly from: readonly string[]
  readonly to: readonly string[]
  /** Which of several, for a to-one join whose `to` is not the target's key. */
  readonly pick?: readonly OrderBy[]
  readonly place: Place
}

/**
 * NONE: no entity of the folder has a tenant. SHARED: belongs to no tenant. COLUMN: a column of the row.
 * JOIN: the tenant of the row that a promised or optional to-one join reaches; unseen until that has arrived.
 * `claim`: the token's claim that must equal it.
 */
export type Tenant =
  | { readonly kind: 'NONE' }
  | { readonly kind: 'SHARED' }
  | { readonly kind: 'COLUMN'; readonly column: string; readonly claim: string }
  | { readonly kind: 'JOIN'; readonly join: string; readonly claim: string }

export type Format = 'DEBEZIUM' | 'DEBEZIUM_AVRO' | 'AVRO' | 'JSON' | 'JSON_SCHEMA' | 'CLOUDEVENTS' | 'CLOUDEVENTS_AVRO'
export const isDebezium = (format: Format): boolean => format === 'DEBEZIUM' || format === 'DEBEZIUM_AVRO'
export type TimeUnit = 'SECONDS' | 'MILLIS' | 'MICROS' | 'NANOS'
/** A resolved source: the entity's own words, then its domain's, then the defaults. */
export type Source = {
  /** Of a table: `connection.schema.table`, a topic of the journal. */
  readonly topic: string
  /** The table that is read directly; absent: others write the topic. */
  readonly table?: TableSource
  readonly format: Format
  /** Steps to the value that orders changes of one key; absent: LSN, else offset. */
  readonly version?: readonly string[]
  /** Steps to the event time; absent: the envelope's, else the record's timestamp. */
  readonly time?: readonly string[]
  readonly unit?: TimeUnit
  /** IANA zone of timestamps that carry none. */
  readonly zone: string
  /** Who alone may write, where `conflict` is OWNER. */
  readonly owner?: string
  /** Steps to an array in the record whose elements are this entity's rows. */
  readonly each?: readonly string[]
  readonly typeAt?: readonly string[]
  readonly events?: readonly SourceEvent[]
}
/** Without `poll`: by a replication slot. */
export type TableSource = {
  /** Names the environment's FOREBAY_CONNECTION_<NAME>. */
  readonly connection: string
  readonly schema: string
  readonly name: string
  readonly poll?: Poll
}
/** `watermark`: a column that every insert and update moves forward. Milliseconds; `sweepMs` 0: never. */
export type Poll = {
  readonly watermark: string
  readonly everyMs: number
  readonly overlapMs: number
  readonly sweepMs: number
}
export type SourceEvent = {
  readonly type: string
  readonly op: 'UPSERT' | 'PATCH' | 'DELETE'
  readonly at?: readonly string[]
  /** Entity field → steps in the record. */
  readonly map: ReadonlyMap<string, readonly string[]>
  /** Entity field → literal, typed as the field. */
  readonly set: ReadonlyMap<string, Literal>
}

// ── views and parts ─────────────────────────────────────────────────────────────────────────────────────────────────
export type View = {
  readonly name: string
  readonly of: string
  readonly description?: string
  readonly where?: Where
  /** Names of this view's own fields; absent: one row per root row. */
  readonly groupBy?: readonly string[]
  readonly retention?: ViewRetention
  readonly maxLagMs: number
  readonly fields: readonly Field[]
  readonly allow: Allow
  readonly rows: readonly RowRule[]
  readonly place: Place
}
/** Likewise; `on`: the name of a field, of which `value` is the value. In a grouped view it is one of `groupBy`. */
export type ViewRetention = Required<Retention> & { readonly value: Extract<FieldValue, { kind: 'path' }> }
export type Part = {
  readonly name: string
  readonly of: string
  readonly description?: string
  readonly fields: readonly Field[]
  readonly allow?: Allow
  readonly place: Place
}

/** A field of a view or part. `list` and `nonNull` are the declared GraphQL modifiers (list elements are never null). */
export type Field = {
  readonly name: string
  readonly description?: string
  readonly deprecated?: string
  readonly type: ValueType | { readonly kind: 'part'; readonly part: string }
  readonly list: boolean
  readonly nonNull: boolean
  readonly value: FieldValue
  readonly lookup: boolean
  readonly filter: boolean
  readonly order: boolean
  readonly allow?: Allow
  /** Every kind of personal data this value derives from, by lineage, @declassify and @pii applied. */
  readonly lineage: Lineage
  readonly place: Place
}

/**
 * How a field's value comes about. `joins` are names of @join fields, walked from the row (view root or part row).
 * - `path`: to-one joins only, then a column. A plain field has no joins.
 * - `part`: to-one joins only; the value is an object of the part's shape, or null.
 * - `list`, `first`: up to the last to-many join at `joins[many]`, then to-one joins and a column, or a part of the row reached.
 * - `aggregate`: the same walk. In a grouped view `many` is -1 when the members themselves are aggregated.
 *   `where`, `orderBy` and `window` speak of the row at `joins[many]` (the member when -1).
 * - `expr`: over the row's own fields `inputs`, which stand in the SQL unquoted.
 */
export type FieldValue =
  | { readonly kind: 'path'; readonly joins: readonly string[]; readonly column: string; readonly bucket?: Bucket }
  | { readonly kind: 'part'; readonly joins: readonly string[]; readonly part: string }
  | {
      readonly kind: 'list' | 'first'
      readonly joins: readonly string[]
      readonly many: number
      /** Exactly one of `column` and `part`. */
      readonly column?: string
      readonly part?: string
      readonly where?: Where
      readonly orderBy: readonly OrderBy[]
      /** 1 for `first`. */
      readonly limit: number
    }
  | {
      readonly kind: 'aggregate'
      readonly fn: 'count' | 'sum' | 'avg' | 'min' | 'max'
      readonly joins: readonly string[]
      readonly many: number
      readonly column?: string
      readonly distinct: boolean
      readonly where?: Where
      readonly window?: Window
    }
  | { readonly kind: 'expr'; readonly sql: string; readonly inputs: readonly string[] }

/**
 * `sources`: the tagged entity columns that reach the value. `verbatim`: the value is the source's own (so it has masked and
 * tokenized forms); otherwise it is hidden wherever a source is not clear.
 */
export type Lineage = { readonly tags: readonly LineageTag[]; readonly verbatim: boolean }
export type LineageTag = PiiTag & { readonly coordinate: string }

export type Allow = { readonly roles?: readonly string[]; readonly scopes?: readonly string[]; readonly when?: Where }
export type RowRule = { readonly where?: Where; readonly roles?: readonly string[]; readonly minGroup?: number }

// ── the folder ──────────────────────────────────────────────────────────────────────────────────────────────────────
export type Domain = { readonly name: string; readonly owner: string; readonly contact?: string }
/** What one role sees of each kind of personal data; kinds in no list are hidden. `upTo`: the highest class so granted. */
export type Policy = {
  readonly role: string
  readonly clear: readonly string[]
  readonly tokenized: readonly string[]
  readonly masked: readonly string[]
  readonly upTo: PiiClass
}
export type Model = {
  readonly roles: readonly string[]
  readonly domains: ReadonlyMap<string, Domain>
  readonly enums: ReadonlyMap<string, EnumType>
  readonly entities: ReadonlyMap<string, Entity>
  readonly parts: ReadonlyMap<string, Part>
  readonly views: ReadonlyMap<string, View>
  readonly policies: ReadonlyMap<string, Policy>
}

/** One fault of a declaration: `problem` is what is wrong, `remedy` what to write. */
export type Fault = { readonly place: Place; readonly problem: string; readonly remedy: string }
