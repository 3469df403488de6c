select (select row_to_json(_answer) from (select "sku" as "sku", "name" as "name", "weight" as "weight") _answer)::text as fields, json_build_array((r."sku")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes, json_build_array(r."weight"::text, r."sku"::text)::text as place
from (select * from ((select r.*, 0 as _range from "forebay_view"."product_card_hash" r
where r."weight" is not null
order by r."weight" desc, r."sku" desc
limit 21)
union all
(select r.*, 1 as _range from "forebay_view"."product_card_hash" r
where r."weight" is null
order by r."weight" desc, r."sku" desc
limit 21)) r
order by r._range, r."weight" desc, r."sku" desc
limit 21) r
order by r._range, r."weight" desc, r."sku" desc;
