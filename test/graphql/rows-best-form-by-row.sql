select (select row_to_json(_answer) from (select "id" as "id", "email" as "email", "phone" as "phone", "region" as "region", "street" as "street") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, case when true then 1 else 0 end + case when r."region" = $1::text then 2 else 0 end as classes, json_build_array(r."tier"::text, r."id"::text)::text as place
from "forebay_view"."region_file_hash" r
where r._tenant = $2::text
order by r."tier" asc, r."id" asc
limit 21;
-- $1 north
-- $2 acme
