select k._n::int as position, (select row_to_json(_answer) from (select "id" as "id", "email" as "email") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes
from unnest($1::text::text[]) with ordinality k(_k0, _n)
join "forebay_view"."region_file_hash" r on r."id" = k._k0::text and r._tenant = $3::text and ((r."region" = $2::text));
-- $1 {"bob","ada","eve"}
-- $2 north
-- $3 acme
