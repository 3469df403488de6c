select (select row_to_json(_answer) from (select "sku" as "sku", "name" as "name", "weight" as "weight") _answer)::text as fields, json_build_array((r."sku")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes, json_build_array(r."weight"::text, r."sku"::text)::text as place
from "forebay_view"."product_card_hash" r
order by r."weight" desc nulls last, r."sku" asc
limit 21;
