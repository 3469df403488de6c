CREATE SCHEMA IF NOT EXISTS "forebay";
create schema if not exists forebay_view;
create sequence if not exists forebay.row_version;

create or replace function forebay.iso(at timestamptz) returns text
language plpgsql immutable strict parallel safe as $$
begin
  return rtrim(rtrim(to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z';
end $$;

CREATE SCHEMA IF NOT EXISTS "billing";
CREATE SCHEMA IF NOT EXISTS "catalog";
CREATE SCHEMA IF NOT EXISTS "crm";
CREATE SCHEMA IF NOT EXISTS "fulfilment";
CREATE SCHEMA IF NOT EXISTS "ops";
CREATE SCHEMA IF NOT EXISTS "platform";
CREATE SCHEMA IF NOT EXISTS "risk";
CREATE SCHEMA IF NOT EXISTS "sales";

CREATE TABLE "billing"."payment" (
  "id" text collate "C" NOT NULL,
  "tenant_id" text collate "C",
  "order_id" text collate "C",
  "customer_id" text collate "C",
  "status" text collate "C",
  "amount" numeric,
  "currency" text collate "C",
  "card" text collate "C",
  "created_at" timestamptz,
  "captured_at" timestamptz,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "tenant_id" is not null and "order_id" is not null and "customer_id" is not null and "status" is not null and "amount" is not null and "currency" is not null and "created_at" is not null) STORED,
  CONSTRAINT "payment_pkey" PRIMARY KEY("id")
);

CREATE TABLE "billing"."refund" (
  "id" text collate "C" NOT NULL,
  "payment_id" text collate "C",
  "amount" numeric,
  "created_at" timestamptz,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "payment_id" is not null and "amount" is not null and "created_at" is not null) STORED,
  CONSTRAINT "refund_pkey" PRIMARY KEY("id")
);

CREATE TABLE "catalog"."product" (
  "id" text collate "C" NOT NULL,
  "tenant_id" text collate "C",
  "sku" text collate "C",
  "name" text collate "C",
  "category" text collate "C",
  "price" numeric,
  "attributes" jsonb,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "tenant_id" is not null and "sku" is not null and "name" is not null and "category" is not null and "price" is not null) STORED,
  CONSTRAINT "product_pkey" PRIMARY KEY("id")
);

CREATE TABLE "crm"."address" (
  "id" text collate "C" NOT NULL,
  "customer_id" text collate "C",
  "line1" text collate "C",
  "city" text collate "C",
  "country" text collate "C",
  "is_default" boolean,
  "updated_at" timestamptz,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "customer_id" is not null and "line1" is not null and "city" is not null and "country" is not null and "is_default" is not null and "updated_at" is not null) STORED,
  CONSTRAINT "address_pkey" PRIMARY KEY("id")
);

CREATE TABLE "crm"."consent" (
  "customer_id" text collate "C" NOT NULL,
  "purpose" text collate "C" NOT NULL,
  "granted" boolean,
  "changed_at" timestamptz,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "granted" is not null and "changed_at" is not null) STORED,
  CONSTRAINT "consent_pkey" PRIMARY KEY("customer_id","purpose")
);

CREATE TABLE "crm"."customer" (
  "id" text collate "C" NOT NULL,
  "tenant_id" text collate "C",
  "email" text collate "C",
  "phone" text collate "C",
  "full_name" text collate "C",
  "birth_date" date,
  "national_id" text collate "C",
  "tier" text collate "C",
  "locale" text collate "C",
  "created_at" timestamptz,
  "closed_at" timestamptz,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "tenant_id" is not null and "email" is not null and "full_name" is not null and "tier" is not null and "locale" is not null and "created_at" is not null and ("closed_at" is not null) is not true) STORED,
  CONSTRAINT "customer_pkey" PRIMARY KEY("id")
);

CREATE TABLE "crm"."ticket" (
  "id" text collate "C" NOT NULL,
  "tenant_id" text collate "C",
  "customer_id" text collate "C",
  "order_id" text collate "C",
  "subject" text collate "C",
  "status" text collate "C",
  "opened_at" timestamptz,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "tenant_id" is not null and "customer_id" is not null and "subject" is not null and "status" is not null and "opened_at" is not null) STORED,
  CONSTRAINT "ticket_pkey" PRIMARY KEY("id")
);

CREATE TABLE "forebay"."audit_event" (
  "id" text collate "C" NOT NULL,
  "tenant_id" text collate "C",
  "actor" text collate "C",
  "subject_hash" text collate "C",
  "coordinate" text collate "C",
  "form" text collate "C",
  "reason" text collate "C",
  "ticket" text collate "C",
  "operation" text collate "C",
  "at" timestamptz,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "tenant_id" is not null and "actor" is not null and "subject_hash" is not null and "coordinate" is not null and "form" is not null and "at" is not null) STORED,
  CONSTRAINT "audit_event_pkey" PRIMARY KEY("id")
);

CREATE TABLE "forebay"."catalog" (
  "id" boolean DEFAULT true NOT NULL,
  "version" integer NOT NULL,
  CONSTRAINT "catalog_pkey" PRIMARY KEY("id"),
  CONSTRAINT "catalog_is_one_row" CHECK ("id")
);

CREATE TABLE "forebay"."dirty" (
  "id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "forebay"."dirty_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
  "slot" smallint NOT NULL,
  "generation" integer NOT NULL,
  "path" integer NOT NULL,
  "shard" integer NOT NULL,
  "keys" jsonb NOT NULL,
  "n" integer NOT NULL,
  "origin" timestamptz,
  "offsets" jsonb,
  CONSTRAINT "dirty_pkey" PRIMARY KEY("slot","id")
) PARTITION BY list ("slot");

CREATE TABLE "forebay"."documents" (
  "entity" text NOT NULL,
  "parent" text collate "C" NOT NULL,
  "epoch" integer,
  "version" bigint,
  "tie" bigint,
  CONSTRAINT "documents_pkey" PRIMARY KEY("entity","parent")
);

CREATE TABLE "forebay"."generations" (
  "generation" integer GENERATED ALWAYS AS IDENTITY (sequence name "forebay"."generations_generation_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1),
  "view" text NOT NULL,
  "hash" text NOT NULL,
  "registered_at" timestamptz DEFAULT now() NOT NULL,
  "retired_at" timestamptz,
  CONSTRAINT "generations_pkey" PRIMARY KEY("generation"),
  CONSTRAINT "generations_view_hash" UNIQUE("view","hash")
);

CREATE TABLE "forebay"."journal" (
  "topic" text NOT NULL,
  "partition" integer NOT NULL,
  "offset" bigint NOT NULL,
  "key" bytea,
  "value" bytea,
  "headers" jsonb,
  "at" timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT "journal_pkey" PRIMARY KEY("topic","partition","offset")
);

CREATE TABLE "forebay"."journal_ends" (
  "topic" text NOT NULL,
  "partition" integer NOT NULL,
  "next_offset" bigint DEFAULT 0 NOT NULL,
  CONSTRAINT "journal_ends_pkey" PRIMARY KEY("topic","partition")
);

CREATE TABLE "forebay"."positions" (
  "topic" text NOT NULL,
  "partition" integer NOT NULL,
  "epoch" integer DEFAULT 0 NOT NULL,
  "next_offset" bigint NOT NULL,
  "frontier" timestamptz,
  "observed_end" bigint,
  "observed_at" timestamptz,
  "state" text DEFAULT 'RUNNING' NOT NULL,
  "reason" text,
  CONSTRAINT "positions_pkey" PRIMARY KEY("topic","partition")
);

CREATE TABLE "forebay"."quarantine" (
  "id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "forebay"."quarantine_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
  "topic" text NOT NULL,
  "partition" integer NOT NULL,
  "offset" bigint NOT NULL,
  "entity" text,
  "reason" text NOT NULL,
  "key" bytea,
  "value" bytea,
  "headers" jsonb,
  "record_time" timestamptz,
  "quarantined_at" timestamptz DEFAULT now() NOT NULL,
  "state" text DEFAULT 'PARKED' NOT NULL,
  CONSTRAINT "quarantine_pkey" PRIMARY KEY("id"),
  CONSTRAINT "quarantine_position" UNIQUE("topic","partition","offset")
);

CREATE TABLE "fulfilment"."shipment" (
  "id" text collate "C" NOT NULL,
  "order_id" text collate "C",
  "warehouse_id" text collate "C",
  "carrier" text collate "C",
  "status" text collate "C",
  "recipient" text collate "C",
  "city" text collate "C",
  "created_at" timestamptz,
  "due_at" timestamptz,
  "delivered_at" timestamptz,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "order_id" is not null and "warehouse_id" is not null and "status" is not null and "created_at" is not null and "due_at" is not null) STORED,
  CONSTRAINT "shipment_pkey" PRIMARY KEY("id")
);

CREATE TABLE "fulfilment"."stock_level" (
  "warehouse_id" text collate "C" NOT NULL,
  "product_id" text collate "C" NOT NULL,
  "on_hand" integer,
  "reserved" integer,
  "reorder_at" integer,
  "counted_at" timestamptz,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "on_hand" is not null and "reserved" is not null and "reorder_at" is not null) STORED,
  CONSTRAINT "stock_level_pkey" PRIMARY KEY("warehouse_id","product_id")
);

CREATE TABLE "fulfilment"."warehouse" (
  "id" text collate "C" NOT NULL,
  "tenant_id" text collate "C",
  "name" text collate "C",
  "region" text collate "C",
  "zone" text collate "C",
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "tenant_id" is not null and "name" is not null and "region" is not null and "zone" is not null) STORED,
  CONSTRAINT "warehouse_pkey" PRIMARY KEY("id")
);

CREATE TABLE "ops"."incident" (
  "tenant_id" text collate "C" NOT NULL,
  "id" text collate "C" NOT NULL,
  "title" text collate "C",
  "severity" integer,
  "region" text collate "C",
  "opened_at" timestamptz,
  "resolved_at" timestamptz,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "title" is not null and "severity" is not null and "region" is not null and "opened_at" is not null) STORED,
  CONSTRAINT "incident_pkey" PRIMARY KEY("tenant_id","id")
);

CREATE TABLE "platform"."api_client" (
  "id" text collate "C" NOT NULL,
  "tenant_id" text collate "C",
  "key_hash" text collate "C",
  "name" text collate "C",
  "status" text collate "C",
  "scopes" text[] collate "C",
  "plan_id" text collate "C",
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "tenant_id" is not null and "key_hash" is not null and "name" is not null and "status" is not null and "scopes" is not null and "plan_id" is not null) STORED,
  CONSTRAINT "api_client_pkey" PRIMARY KEY("id")
);

CREATE TABLE "platform"."flag" (
  "tenant_id" text collate "C" NOT NULL,
  "name" text collate "C" NOT NULL,
  "enabled" boolean,
  "rollout" integer,
  "payload" jsonb,
  "changed_at" timestamptz,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "enabled" is not null and "rollout" is not null and "changed_at" is not null) STORED,
  CONSTRAINT "flag_pkey" PRIMARY KEY("tenant_id","name")
);

CREATE TABLE "platform"."plan" (
  "id" text collate "C" NOT NULL,
  "name" text collate "C",
  "per_minute" integer,
  "per_day" integer,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "name" is not null and "per_minute" is not null and "per_day" is not null) STORED,
  CONSTRAINT "plan_pkey" PRIMARY KEY("id")
);

CREATE TABLE "platform"."usage_event" (
  "id" text collate "C" NOT NULL,
  "client_id" text collate "C",
  "units" integer,
  "at" timestamptz,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "client_id" is not null and "units" is not null and "at" is not null) STORED,
  CONSTRAINT "usage_event_pkey" PRIMARY KEY("id")
);

CREATE TABLE "risk"."signal" (
  "id" text collate "C" NOT NULL,
  "tenant_id" text collate "C",
  "customer_id" text collate "C",
  "order_id" text collate "C",
  "kind" text collate "C",
  "score" numeric,
  "seen_at" timestamptz,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "tenant_id" is not null and "customer_id" is not null and "kind" is not null and "score" is not null and "seen_at" is not null) STORED,
  CONSTRAINT "signal_pkey" PRIMARY KEY("id")
);

CREATE TABLE "sales"."order" (
  "id" text collate "C" NOT NULL,
  "tenant_id" text collate "C",
  "customer_id" text collate "C",
  "status" text collate "C",
  "currency" text collate "C",
  "total" numeric,
  "total_home" numeric,
  "region" text collate "C",
  "placed_at" timestamptz,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "tenant_id" is not null and "customer_id" is not null and "status" is not null and "currency" is not null and "total" is not null and "total_home" is not null and "region" is not null and "placed_at" is not null) STORED,
  CONSTRAINT "order_pkey" PRIMARY KEY("id")
);

CREATE TABLE "sales"."order_event" (
  "id" text collate "C" NOT NULL,
  "order_id" text collate "C",
  "kind" text collate "C",
  "detail" text collate "C",
  "actor" text collate "C",
  "at" timestamptz,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "order_id" is not null and "kind" is not null and "at" is not null) STORED,
  CONSTRAINT "order_event_pkey" PRIMARY KEY("id")
);

CREATE TABLE "sales"."order_line" (
  "order_id" text collate "C" NOT NULL,
  "position" integer NOT NULL,
  "product_id" text collate "C",
  "warehouse_id" text collate "C",
  "quantity" integer,
  "price" numeric,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "product_id" is not null and "warehouse_id" is not null and "quantity" is not null and "price" is not null) STORED,
  CONSTRAINT "order_line_pkey" PRIMARY KEY("order_id","position")
);

CREATE TABLE "sales"."return" (
  "id" text collate "C" NOT NULL,
  "order_id" text collate "C",
  "customer_id" text collate "C",
  "reason" text collate "C",
  "opened_at" timestamptz,
  "_deleted" boolean DEFAULT false NOT NULL,
  "_epoch" integer NOT NULL,
  "_version" bigint NOT NULL,
  "_tie" bigint NOT NULL,
  "_event_time" timestamptz,
  "_partition" integer NOT NULL,
  "_offset" bigint NOT NULL,
  "_absent" text[],
  "_raw" jsonb,
  "_live" boolean GENERATED ALWAYS AS (not _deleted and "order_id" is not null and "customer_id" is not null and "opened_at" is not null) STORED,
  CONSTRAINT "return_pkey" PRIMARY KEY("id")
);

CREATE INDEX "payment_order_id_created_at_idx" ON "billing"."payment" USING btree ("order_id","created_at") WHERE _live;
CREATE INDEX "address_customer_id_is_default_updated_at_idx" ON "crm"."address" USING btree ("customer_id","is_default","updated_at") WHERE _live;
CREATE INDEX "ticket_customer_id_opened_at_idx" ON "crm"."ticket" USING btree ("customer_id","opened_at") WHERE _live;
CREATE INDEX "dirty_shard_id" ON "forebay"."dirty" USING btree ("shard","id");
CREATE INDEX "shipment_order_id_created_at_idx" ON "fulfilment"."shipment" USING btree ("order_id","created_at") WHERE _live;
CREATE INDEX "shipment_warehouse_id_due_at_idx" ON "fulfilment"."shipment" USING btree ("warehouse_id","due_at") WHERE _live;
CREATE INDEX "stock_level_product_id_idx" ON "fulfilment"."stock_level" USING btree ("product_id") WHERE _live;
CREATE INDEX "api_client_plan_id_idx" ON "platform"."api_client" USING btree ("plan_id") WHERE _live;
CREATE INDEX "order_customer_id_placed_at_idx" ON "sales"."order" USING btree ("customer_id","placed_at") WHERE _live;
CREATE INDEX "order_event_order_id_at_idx" ON "sales"."order_event" USING btree ("order_id","at") WHERE _live;
CREATE INDEX "order_line_product_id_idx" ON "sales"."order_line" USING btree ("product_id") WHERE _live;
CREATE INDEX "order_line_warehouse_id_product_id_idx" ON "sales"."order_line" USING btree ("warehouse_id","product_id") WHERE _live;
create table if not exists forebay.dirty_0 partition of forebay.dirty for values in (0);
create table if not exists forebay.dirty_1 partition of forebay.dirty for values in (1);
create table if not exists forebay.dirty_2 partition of forebay.dirty for values in (2);
create table if not exists forebay.dirty_3 partition of forebay.dirty for values in (3);
insert into forebay.catalog (version) values (1) on conflict do nothing;
