insert into "Mixed Case"."Order Items" values (1,1,1.500,'x'), (1,2,2.000,null)
update "Mixed Case"."Order Items" set "Qty" = 9.25 where "lineNo" = 2
delete from "Mixed Case"."Order Items" where "lineNo" = 1
insert into types_t select 10, si, bi, num, num2, mon, r, d, b, t, ch, ci, by, u, js, jb, da, ts, tstz, ip, mo, ia, tsa, hs, lt, tsr, bt1, pt from types_t where id = 1
insert into types_t (id, num, da, ts) select 12, num, da, ts from types_t where id = 2
insert into types_t (id, bi, ts) select 14, bi, ts from types_t where id = 4
update types_t set t = null, num = null where id = 10
insert into toast_t select 100 + g, 0, s, jsonb_build_object('s', s), s::bytea, array[s] from (select g, (select string_agg(md5(random()::text || g || i), '') from generate_series(1, 300) i) s from generate_series(1, 20) g) x
insert into toast_full select 100 + g, 0, (select string_agg(md5(random()::text || g || i), '') from generate_series(1, 300) i) from generate_series(1, 5) g
update toast_t set v = v + 1 where id > 100
update toast_full set v = v + 1
update toast_t set big = 'short now' where id = 101
update toast_t set id = 999 where id = 102
delete from toast_t where id = 103
delete from toast_full where id = 101
insert into nopk_full values (1,'a'), (1,'a'), (2,null)
insert into nopk_default values (1,'a'), (1,'a')
insert into uniqidx values ('k1', 1)
update uniqidx set v = 2
update uniqidx set k = 'k2'
insert into nullpk_uniq values (null,'n1'), (null,'n2'), (1,'x')
update nullpk_uniq set a = 7 where b = 'n1'
delete from nullpk_uniq where b = 'n2'
insert into keychg values (1,'a'), (2,'b')
update keychg set id = 3 where id = 1
begin; update keychg set id = -1 where id = 2; update keychg set id = 2 where id = 3; update keychg set id = 3 where id = -1; commit
begin; delete from keychg where id = 2; insert into keychg values (2, 'reborn'); commit
insert into casc_p values (1), (2)
insert into casc_c values (1,1), (2,1), (3,2)
update casc_p set id = 11 where id = 1
delete from casc_p where id = 11
insert into parted values (1,'eu',1), (2,'us',2)
update parted set v = 5 where id = 1
update parted set region = 'us' where id = 1
insert into gen_t (a) values (5), (6)
update gen_t set a = 7 where id = 1
insert into sales.customers (id, name) values (gen_random_uuid(), 'Zoë')
begin; insert into keychg values (50,'v1'); update keychg set v = 'v2' where id = 50; update keychg set v = 'v3' where id = 50; commit
begin; insert into keychg values (51,'brief'); delete from keychg where id = 51; commit
begin; insert into keychg values (52,'kept'); savepoint s; insert into keychg values (53,'lost'); rollback to s; insert into keychg values (54,'kept2'); commit
begin; insert into keychg values (55,'lost'); rollback
update keychg set v = v where id = 50
insert into keychg values (60,'up') on conflict (id) do update set v = excluded.v
insert into keychg values (60,'up2') on conflict (id) do update set v = excluded.v
insert into evolve values (2,'before add',2)
alter table evolve add column c numeric(8,2) default 9.99
insert into evolve values (3,'after add',3,1.25)
update evolve set a = 'touched' where id = 1
alter table evolve drop column b
insert into evolve values (4,'after drop',2.5)
alter table evolve rename column a to a_renamed
insert into evolve values (5,'after rename',3.5)
alter table evolve alter column c type text using c::text || 'x'
insert into evolve values (6,'after type change','t')
begin; alter table evolve add column d int; insert into evolve values (7,'same tx','t',7); alter table evolve drop column d; insert into evolve values (8,'same tx dropped','t'); commit
insert into trunc_t values (1,1), (2,2)
insert into trunc_child values (1,1)
truncate trunc_t cascade
insert into trunc_t values (3,3)
begin; insert into trunc_t values (4,4); truncate trunc_t, trunc_child; insert into trunc_t values (5,5); commit
select pg_logical_emit_message(true, 'app.outbox', '{"hello":1}')
select pg_logical_emit_message(false, 'app.nontx', 'raw')
insert into big_tx select g, g % 100, md5(g::text) from generate_series(1, 5000) g
update big_tx set grp = grp + 1 where id <= 2000
delete from big_tx where id <= 500
