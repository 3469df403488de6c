select k._n::int as position, (select row_to_json(_answer) from (select "id" as "id") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes
from unnest($1::text::text[]) with ordinality k(_v, _n)
cross join lateral (select r.* from "forebay_view"."customer_card_hash" r where r."_lookup_email" = lower(btrim(k._v::text)) and r._tenant = $2::text limit 2) r;
-- $1 {" ADA.lovelace@example.com","bob@example.com","no'body\"{}\\","shared@example.com"}
-- $2 acme
