select k._n::int as position, (select row_to_json(_answer) from (select "order_id" as "orderId", "line" as "line", "product" as "product") _answer)::text as fields, json_build_array((r."order_id")::text, (r."line")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes
from unnest($1::text::text[], $2::text::text[]) with ordinality k(_k0, _k1, _n)
join "forebay_view"."line_file_hash" r on r."order_id" = k._k0::text and r."line" = k._k1::integer and r._tenant = $3::text;
-- $1 {"o2","o5","o2"}
-- $2 {"2","1","1"}
-- $3 acme
