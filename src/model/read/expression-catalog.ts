/** What @expr may use of Postgres: immutable, or stable only for settings that every session of the engine fixes. */

/** `strict`: null only for a null argument. `first-strict`: for a null first one. `null-skipping`: never null. */
export type FunctionKind = 'strict' | 'first-strict' | 'null-skipping' | 'may-be-null' | 'aggregate' | 'volatile'

const kinds: Readonly<Record<FunctionKind, string>> = {
  strict: `abs ceil ceiling floor round trunc sign mod power sqrt cbrt exp ln log log10 div gcd lcm width_bucket
    degrees radians pi sin cos tan cot asin acos atan atan2 sinh cosh tanh factorial trim_scale
    lower upper initcap length char_length character_length octet_length bit_length btrim ltrim rtrim lpad rpad left right
    substr replace repeat reverse position strpos translate split_part starts_with overlay ascii chr md5 sha256 encode decode
    to_hex regexp_replace regexp_count regexp_like casefold normalize unistr quote_ident quote_literal
    date_trunc date_part extract age make_date make_interval make_timestamptz justify_days justify_hours justify_interval timezone
    to_timestamp date_bin isfinite to_char to_number hashtext
    cardinality array_append array_cat array_prepend array_remove array_replace array_to_string
    jsonb_array_length jsonb_typeof`,
  'null-skipping': 'concat num_nulls num_nonnulls jsonb_build_object jsonb_build_array',
  'first-strict': 'concat_ws format',
  'may-be-null': `substring regexp_substr regexp_match array_length array_position array_upper array_lower string_to_array
    jsonb_extract_path jsonb_extract_path_text array_ndims scale min_scale`,
  aggregate: `count sum avg min max array_agg string_agg json_agg jsonb_agg json_object_agg jsonb_object_agg bool_and bool_or every
    bit_and bit_or stddev stddev_pop stddev_samp variance var_pop var_samp corr mode percentile_cont percentile_disc
    row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value grouping any_value`,
  volatile: `now clock_timestamp statement_timestamp transaction_timestamp timeofday random random_normal setseed gen_random_uuid
    uuidv4 uuidv7 nextval currval lastval setval current_setting set_config current_database current_schema version
    pg_sleep pg_backend_pid txid_current pg_current_xact_id inet_client_addr inet_server_addr pg_read_file`,
}

export const functions: ReadonlyMap<string, FunctionKind> = new Map(
  Object.entries(kinds).flatMap(([kind, names]) =>
    names.split(/\s+/).map((name) => [name, kind as FunctionKind] as const),
  ),
)

/** By the parser's names (`~~` is like, `~~*` ilike), with what they give where that is the same for all types. */
export const operators: ReadonlyMap<string, 'boolean' | undefined> = new Map([
  ...'+ - * / % ^ || |/ ||/ @ & | # << >> -> ->> #> #>>'.split(' ').map((name) => [name, undefined] as const),
  ...'= <> < <= > >= ~ ~* !~ !~* ~~ ~~* !~~ !~~* @> <@ && ?'.split(' ').map((name) => [name, 'boolean'] as const),
  ...['between', 'not between', 'between symmetric', 'not between symmetric'].map((name) => [name, 'boolean'] as const),
])

/** By the names the parser gives: `integer` is int4. */
export const types: ReadonlySet<string> = new Set([
  'int4',
  'int8',
  'numeric',
  'text',
  'bool',
  'date',
  'timestamptz',
  'interval',
  'float8',
  'int2',
  'float4',
  'varchar',
  'bpchar',
  'timestamp',
  'jsonb',
  'uuid',
  'bytea',
])
