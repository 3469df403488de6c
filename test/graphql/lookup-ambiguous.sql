select (select row_to_json(_answer) from (select "id" as "id") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes
from "forebay_view"."customer_card_hash" r
where r."_lookup_email" = lower(btrim($1::text)) and r._tenant = $2::text
limit 2;
-- $1 shared@example.com
-- $2 acme
