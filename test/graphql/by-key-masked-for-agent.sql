select k._n::int as position, (select row_to_json(_answer) from (select "id" as "id", "email" as "email", "phone" as "phone", "full_name" as "fullName", "street" as "street", "card" as "card", "national_id" as "nationalId", to_char("born_on", 'YYYY-MM-DD') as "bornOn", "region" as "region", "tier" as "tier", forebay.iso("created_at") as "createdAt", ("points")::text as "points", to_jsonb("tags") as "tags", "extra" as "extra", "nickname" as "nickname", "order_count" as "orderCount", forebay.iso("last_order_at") as "lastOrderAt", "last_order" as "lastOrder", "orders" as "orders", "notes" as "notes") _answer)::text as fields, json_build_array((r."id")::text)::text as key, r._version::text as version, r._incomplete as incomplete, 1 as classes
from unnest($1::text::text[]) with ordinality k(_k0, _n)
join "forebay_view"."customer_card_hash" r on r."id" = k._k0::text and r._tenant = $2::text;
-- $1 {"ada"}
-- $2 acme
