select count(*)::int as count from (select 1 from "forebay_view"."region_file_hash" r where r._tenant = $1::text and ((false)) limit 10001) a;
-- $1 acme

select (select row_to_json(_answer) from (select "id" as "id") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes, json_build_array(r."id"::text)::text as place
from "forebay_view"."region_file_hash" r
where r._tenant = $1::text and ((false))
order by r."id" asc
limit 21;
-- $1 acme
