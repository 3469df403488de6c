select count(*)::int as count from (select 1 from "forebay_view"."customer_card_hash" r where r._tenant = $1::text limit 10001) a;
-- $1 globex

select (select row_to_json(_answer) from (select "id" as "id") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes, json_build_array(r."id"::text)::text as place
from "forebay_view"."customer_card_hash" r
where r._tenant = $1::text
order by r."id" asc
limit 21;
-- $1 globex

select k._n::int as position, (select row_to_json(_answer) from (select "id" as "id") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes
from unnest($1::text::text[]) with ordinality k(_k0, _n)
join "forebay_view"."customer_card_hash" r on r."id" = k._k0::text and r._tenant = $2::text;
-- $1 {"ada"}
-- $2 globex
