select (select row_to_json(_answer) from (select "id" as "id", round("spent", 2)::text as "spent") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes, json_build_array(r."id"::text)::text as place
from "forebay_view"."customer_card_hash" r
where r._tenant = $1::text and (r."region" = any(array[$2::text, $3::text]::text[]))
order by r."id" asc
limit 21;
-- $1 acme
-- $2 north
-- $3 south

select (select row_to_json(_answer) from (select "id" as "id", round("spent", 2)::text as "spent") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes, json_build_array(r."id"::text)::text as place
from "forebay_view"."customer_card_hash" r
where r._tenant = $1::text and ((r."region" = any(array[$2::text]::text[])) is not true)
order by r."id" asc
limit 21;
-- $1 acme
-- $2 north

select (select row_to_json(_answer) from (select "id" as "id", round("spent", 2)::text as "spent") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes, json_build_array(r."id"::text)::text as place
from "forebay_view"."customer_card_hash" r
where r._tenant = $1::text and (r."region" is distinct from $2::text)
order by r."id" asc
limit 21;
-- $1 acme
-- $2 north

select (select row_to_json(_answer) from (select "id" as "id", round("spent", 2)::text as "spent") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes, json_build_array(r."id"::text)::text as place
from "forebay_view"."customer_card_hash" r
where r._tenant = $1::text and (r."region" is null)
order by r."id" asc
limit 21;
-- $1 acme

select (select row_to_json(_answer) from (select "id" as "id", round("spent", 2)::text as "spent") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes, json_build_array(r."id"::text)::text as place
from "forebay_view"."customer_card_hash" r
where r._tenant = $1::text and (r."region" is not null)
order by r."id" asc
limit 21;
-- $1 acme

select (select row_to_json(_answer) from (select "id" as "id", round("spent", 2)::text as "spent") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes, json_build_array(r."id"::text)::text as place
from "forebay_view"."customer_card_hash" r
where r._tenant = $1::text and (r."region" ^@ $2::text)
order by r."id" asc
limit 21;
-- $1 acme
-- $2 so

select (select row_to_json(_answer) from (select "id" as "id", round("spent", 2)::text as "spent") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes, json_build_array(r."id"::text)::text as place
from "forebay_view"."customer_card_hash" r
where r._tenant = $1::text and (r."tags" @> array[$2::text]::text[])
order by r."id" asc
limit 21;
-- $1 acme
-- $2 vip

select (select row_to_json(_answer) from (select "id" as "id", round("spent", 2)::text as "spent") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes, json_build_array(r."id"::text)::text as place
from "forebay_view"."customer_card_hash" r
where r._tenant = $1::text and ((r."spent" < $2::text::numeric and r."spent" >= $3::text::numeric))
order by r."id" asc
limit 21;
-- $1 acme
-- $2 14.75
-- $3 1

select (select row_to_json(_answer) from (select "id" as "id", round("spent", 2)::text as "spent") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes, json_build_array(r."created_at"::text, r."id"::text)::text as place
from "forebay_view"."customer_card_hash" r
where r._tenant = $1::text and (r."points" = $2::text::bigint)
order by r."created_at" desc, r."id" desc
limit 21;
-- $1 acme
-- $2 7
