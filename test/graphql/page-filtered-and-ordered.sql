select count(*)::int as count from (select 1 from "forebay_view"."customer_card_hash" r where r._tenant = $1::text and ((r."created_at" < $2::text::timestamptz and (r."tier" = $3::text or r."region" is null or (r."points" < $4::text::bigint) is not true))) limit 10001) a;
-- $1 acme
-- $2 2026-12-31T00:00:00+02:00
-- $3 GOLD
-- $4 5

select (select row_to_json(_answer) from (select "id" as "id", "email" as "email", "region" as "region", ("points")::text as "points") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes, json_build_array(r."region"::text, r."points"::text, r."id"::text)::text as place
from (select * from ((select r.*, 0 as _range from "forebay_view"."customer_card_hash" r
where r._tenant = $1::text and ((r."created_at" < $2::text::timestamptz and (r."tier" = $3::text or r."region" is null or (r."points" < $4::text::bigint) is not true))) and r."region" is not null
order by r."region" desc, r."points" asc, r."id" asc
limit 4)
union all
(select r.*, 1 as _range from "forebay_view"."customer_card_hash" r
where r._tenant = $1::text and ((r."created_at" < $2::text::timestamptz and (r."tier" = $3::text or r."region" is null or (r."points" < $4::text::bigint) is not true))) and r."region" is null
order by r."region" desc, r."points" asc, r."id" asc
limit 4)) r
order by r._range, r."region" desc, r."points" asc, r."id" asc
limit 4) r
order by r._range, r."region" desc, r."points" asc, r."id" asc;
-- $1 acme
-- $2 2026-12-31T00:00:00+02:00
-- $3 GOLD
-- $4 5
