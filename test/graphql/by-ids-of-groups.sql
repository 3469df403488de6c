select k._n::int as position, (select row_to_json(_answer) from (select "region" as "region", "tier" as "tier", "customers" as "customers") _answer)::text as fields, json_build_array((r."region")::text, (r."tier")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes
from unnest($1::text::text[], $2::text::text[]) with ordinality k(_k0, _k1, _n)
join "forebay_view"."tier_count_hash" r on r._group = jsonb_build_array($3::text, k._k0::text, k._k1::text)::text and r._tenant = $4::text and ((r._members >= 2));
-- $1 {"north",null}
-- $2 {"GOLD","BASIC"}
-- $3 acme
-- $4 acme
