create or replace function forebay.append_only() returns trigger
language plpgsql as $$
begin
  raise exception 'forebay.% is append-only', tg_table_name;
end $$;

ALTER TABLE "forebay"."quarantine" DROP CONSTRAINT "quarantine_position";

CREATE TABLE "forebay"."audit" (
  "id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "forebay"."audit_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
  "at" timestamptz DEFAULT now() NOT NULL,
  "actor" text NOT NULL,
  "action" text NOT NULL,
  "subject" text NOT NULL,
  "reason" text NOT NULL,
  CONSTRAINT "audit_pkey" PRIMARY KEY("id")
);

CREATE TABLE "forebay"."cursors" (
  "feed" text NOT NULL,
  "version" bigint DEFAULT 0 NOT NULL,
  "cursor" jsonb,
  "moved_at" timestamptz DEFAULT now() NOT NULL,
  "state" text DEFAULT 'RUNNING' NOT NULL,
  "reason" text,
  CONSTRAINT "cursors_pkey" PRIMARY KEY("feed")
);

CREATE TABLE "forebay"."degraded" (
  "id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "forebay"."degraded_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
  "quarantine" bigint NOT NULL,
  "generation" integer NOT NULL,
  "key" text collate "C",
  "settled_at" timestamptz,
  CONSTRAINT "degraded_pkey" PRIMARY KEY("id")
);

CREATE TABLE "forebay"."epochs" (
  "topic" text NOT NULL,
  "partition" integer NOT NULL,
  "epoch" integer NOT NULL,
  "first_offset" bigint NOT NULL,
  CONSTRAINT "epochs_pkey" PRIMARY KEY("topic","partition","epoch")
);

CREATE TABLE "forebay"."floors" (
  "entity" text NOT NULL,
  "epoch" integer NOT NULL,
  "version" bigint NOT NULL,
  "tie" bigint NOT NULL,
  "event_time" timestamptz,
  "swept" boolean DEFAULT false NOT NULL,
  CONSTRAINT "floors_pkey" PRIMARY KEY("entity")
);

CREATE TABLE "forebay"."idempotency" (
  "topic" text NOT NULL,
  "writer" text NOT NULL,
  "key" text NOT NULL,
  "body" bytea NOT NULL,
  "positions" jsonb NOT NULL,
  "at" timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT "idempotency_pkey" PRIMARY KEY("topic","writer","key")
);

CREATE TABLE "forebay"."key_changes" (
  "entity" text NOT NULL,
  "id" text collate "C" NOT NULL,
  "new_key" jsonb,
  "image" jsonb,
  "missing" text[],
  "awaits" text,
  "at" timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT "key_changes_pkey" PRIMARY KEY("entity","id")
);

CREATE TABLE "forebay"."polled_rows" (
  "topic" text NOT NULL,
  "key" text collate "C" NOT NULL,
  "content" bytea NOT NULL,
  CONSTRAINT "polled_rows_pkey" PRIMARY KEY("topic","key")
);

CREATE TABLE "forebay"."replay_positions" (
  "replay" integer NOT NULL,
  "partition" integer NOT NULL,
  "epoch" integer NOT NULL,
  "first_offset" bigint NOT NULL,
  "next_offset" bigint NOT NULL,
  "until_offset" bigint NOT NULL,
  CONSTRAINT "replay_positions_pkey" PRIMARY KEY("replay","partition")
);

CREATE TABLE "forebay"."replays" (
  "id" integer GENERATED ALWAYS AS IDENTITY (sequence name "forebay"."replays_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1),
  "entity" text NOT NULL,
  "topic" text NOT NULL,
  "since" text NOT NULL,
  "state" text DEFAULT 'RUNNING' NOT NULL,
  "requested_at" timestamptz DEFAULT now() NOT NULL,
  "requested_by" text NOT NULL,
  "finished_at" timestamptz,
  "records" bigint DEFAULT 0 NOT NULL,
  "added" bigint DEFAULT 0 NOT NULL,
  "refreshed" bigint DEFAULT 0 NOT NULL,
  "partial" bigint DEFAULT 0 NOT NULL,
  "parked" bigint DEFAULT 0 NOT NULL,
  "unreadable" bigint DEFAULT 0 NOT NULL,
  "rate" double precision,
  "waiting" text,
  "error" text,
  CONSTRAINT "replays_pkey" PRIMARY KEY("id")
);

CREATE TABLE "forebay"."schemas" (
  "registry" text NOT NULL,
  "id" text NOT NULL,
  "topics" text[] NOT NULL,
  "type" text NOT NULL,
  "schema" text NOT NULL,
  "refs" jsonb NOT NULL,
  "fetched_at" timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT "schemas_pkey" PRIMARY KEY("registry","id")
);

CREATE TABLE "forebay"."snapshots" (
  "entity" text NOT NULL,
  "epoch" integer NOT NULL,
  "version" bigint NOT NULL,
  "event_time" timestamptz,
  "state" text DEFAULT 'READING' NOT NULL,
  "ends" jsonb,
  CONSTRAINT "snapshots_pkey" PRIMARY KEY("entity")
);

ALTER TABLE "billing"."payment" ADD COLUMN "_awaits" text;
ALTER TABLE "billing"."payment" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "billing"."payment" ADD COLUMN "_trace" text;
ALTER TABLE "billing"."payment" ADD COLUMN "_tx" text;
ALTER TABLE "billing"."refund" ADD COLUMN "_awaits" text;
ALTER TABLE "billing"."refund" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "billing"."refund" ADD COLUMN "_trace" text;
ALTER TABLE "billing"."refund" ADD COLUMN "_tx" text;
ALTER TABLE "catalog"."product" ADD COLUMN "_awaits" text;
ALTER TABLE "catalog"."product" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "catalog"."product" ADD COLUMN "_trace" text;
ALTER TABLE "catalog"."product" ADD COLUMN "_tx" text;
ALTER TABLE "crm"."address" ADD COLUMN "_awaits" text;
ALTER TABLE "crm"."address" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "crm"."address" ADD COLUMN "_trace" text;
ALTER TABLE "crm"."address" ADD COLUMN "_tx" text;
ALTER TABLE "crm"."consent" ADD COLUMN "_awaits" text;
ALTER TABLE "crm"."consent" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "crm"."consent" ADD COLUMN "_trace" text;
ALTER TABLE "crm"."consent" ADD COLUMN "_tx" text;
ALTER TABLE "crm"."customer" ADD COLUMN "_awaits" text;
ALTER TABLE "crm"."customer" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "crm"."customer" ADD COLUMN "_trace" text;
ALTER TABLE "crm"."customer" ADD COLUMN "_tx" text;
ALTER TABLE "crm"."ticket" ADD COLUMN "_awaits" text;
ALTER TABLE "crm"."ticket" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "crm"."ticket" ADD COLUMN "_trace" text;
ALTER TABLE "crm"."ticket" ADD COLUMN "_tx" text;
ALTER TABLE "forebay"."audit_event" ADD COLUMN "_awaits" text;
ALTER TABLE "forebay"."audit_event" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "forebay"."audit_event" ADD COLUMN "_trace" text;
ALTER TABLE "forebay"."audit_event" ADD COLUMN "_tx" text;
ALTER TABLE "forebay"."journal_ends" ADD COLUMN "start_offset" bigint DEFAULT 0 NOT NULL;
ALTER TABLE "forebay"."positions" ADD COLUMN "source_frontier" timestamptz;
ALTER TABLE "forebay"."positions" ADD COLUMN "source_trouble" text;
ALTER TABLE "forebay"."positions" ADD COLUMN "unasked" text;
ALTER TABLE "forebay"."positions" ADD COLUMN "topic_id" text;
ALTER TABLE "forebay"."positions" ADD COLUMN "waits_for" jsonb;
ALTER TABLE "forebay"."positions" ADD COLUMN "paused_by" text;
ALTER TABLE "forebay"."positions" ADD COLUMN "stopped_at" timestamptz;
ALTER TABLE "forebay"."positions" ADD COLUMN "collected_below" bigint;
ALTER TABLE "forebay"."quarantine" ADD COLUMN "epoch" integer DEFAULT 0 NOT NULL;
ALTER TABLE "forebay"."quarantine" ADD COLUMN "entity_key" text collate "C";
ALTER TABLE "forebay"."quarantine" ADD COLUMN "major" bigint;
ALTER TABLE "forebay"."quarantine" ADD COLUMN "told" jsonb;
ALTER TABLE "forebay"."quarantine" ADD COLUMN "origin" timestamptz;
ALTER TABLE "forebay"."quarantine" ADD COLUMN "settled_at" timestamptz;
ALTER TABLE "fulfilment"."shipment" ADD COLUMN "_awaits" text;
ALTER TABLE "fulfilment"."shipment" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "fulfilment"."shipment" ADD COLUMN "_trace" text;
ALTER TABLE "fulfilment"."shipment" ADD COLUMN "_tx" text;
ALTER TABLE "fulfilment"."stock_level" ADD COLUMN "_awaits" text;
ALTER TABLE "fulfilment"."stock_level" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "fulfilment"."stock_level" ADD COLUMN "_trace" text;
ALTER TABLE "fulfilment"."stock_level" ADD COLUMN "_tx" text;
ALTER TABLE "fulfilment"."warehouse" ADD COLUMN "_awaits" text;
ALTER TABLE "fulfilment"."warehouse" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "fulfilment"."warehouse" ADD COLUMN "_trace" text;
ALTER TABLE "fulfilment"."warehouse" ADD COLUMN "_tx" text;
ALTER TABLE "ops"."incident" ADD COLUMN "_awaits" text;
ALTER TABLE "ops"."incident" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "ops"."incident" ADD COLUMN "_trace" text;
ALTER TABLE "ops"."incident" ADD COLUMN "_tx" text;
ALTER TABLE "platform"."api_client" ADD COLUMN "_awaits" text;
ALTER TABLE "platform"."api_client" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "platform"."api_client" ADD COLUMN "_trace" text;
ALTER TABLE "platform"."api_client" ADD COLUMN "_tx" text;
ALTER TABLE "platform"."flag" ADD COLUMN "_awaits" text;
ALTER TABLE "platform"."flag" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "platform"."flag" ADD COLUMN "_trace" text;
ALTER TABLE "platform"."flag" ADD COLUMN "_tx" text;
ALTER TABLE "platform"."plan" ADD COLUMN "_awaits" text;
ALTER TABLE "platform"."plan" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "platform"."plan" ADD COLUMN "_trace" text;
ALTER TABLE "platform"."plan" ADD COLUMN "_tx" text;
ALTER TABLE "platform"."usage_event" ADD COLUMN "_awaits" text;
ALTER TABLE "platform"."usage_event" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "platform"."usage_event" ADD COLUMN "_trace" text;
ALTER TABLE "platform"."usage_event" ADD COLUMN "_tx" text;
ALTER TABLE "risk"."signal" ADD COLUMN "_awaits" text;
ALTER TABLE "risk"."signal" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "risk"."signal" ADD COLUMN "_trace" text;
ALTER TABLE "risk"."signal" ADD COLUMN "_tx" text;
ALTER TABLE "sales"."order" ADD COLUMN "_awaits" text;
ALTER TABLE "sales"."order" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "sales"."order" ADD COLUMN "_trace" text;
ALTER TABLE "sales"."order" ADD COLUMN "_tx" text;
ALTER TABLE "sales"."order_event" ADD COLUMN "_awaits" text;
ALTER TABLE "sales"."order_event" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "sales"."order_event" ADD COLUMN "_trace" text;
ALTER TABLE "sales"."order_event" ADD COLUMN "_tx" text;
ALTER TABLE "sales"."order_line" ADD COLUMN "_awaits" text;
ALTER TABLE "sales"."order_line" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "sales"."order_line" ADD COLUMN "_trace" text;
ALTER TABLE "sales"."order_line" ADD COLUMN "_tx" text;
ALTER TABLE "sales"."return" ADD COLUMN "_awaits" text;
ALTER TABLE "sales"."return" ADD COLUMN "_deleted_at" timestamptz;
ALTER TABLE "sales"."return" ADD COLUMN "_trace" text;
ALTER TABLE "sales"."return" ADD COLUMN "_tx" text;
CREATE INDEX "degraded_generation_key" ON "forebay"."degraded" USING btree ("generation","key");
CREATE INDEX "degraded_quarantine" ON "forebay"."degraded" USING btree ("quarantine");
CREATE INDEX "idempotency_at" ON "forebay"."idempotency" USING btree ("at");
CREATE INDEX "key_changes_awaits" ON "forebay"."key_changes" USING btree ("entity","awaits") WHERE awaits is not null;
CREATE INDEX "payment_tombstones_idx" ON "billing"."payment" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "refund_tombstones_idx" ON "billing"."refund" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "product_tombstones_idx" ON "catalog"."product" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "address_tombstones_idx" ON "crm"."address" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "consent_tombstones_idx" ON "crm"."consent" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "customer_tombstones_idx" ON "crm"."customer" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "ticket_tombstones_idx" ON "crm"."ticket" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "audit_event_tombstones_idx" ON "forebay"."audit_event" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "dirty_generation_origin" ON "forebay"."dirty" USING btree ("generation","origin");
CREATE INDEX "dirty_generation_path_origin" ON "forebay"."dirty" USING btree ("generation","path","origin");
CREATE INDEX "quarantine_held" ON "forebay"."quarantine" USING btree ("entity","entity_key") WHERE state in ('PARKED', 'WAITING');
CREATE INDEX "quarantine_settled" ON "forebay"."quarantine" USING btree ("settled_at");
CREATE INDEX "shipment_tombstones_idx" ON "fulfilment"."shipment" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "stock_level_tombstones_idx" ON "fulfilment"."stock_level" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "warehouse_tombstones_idx" ON "fulfilment"."warehouse" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "incident_tombstones_idx" ON "ops"."incident" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "api_client_tombstones_idx" ON "platform"."api_client" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "flag_tombstones_idx" ON "platform"."flag" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "plan_tombstones_idx" ON "platform"."plan" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "usage_event_tombstones_idx" ON "platform"."usage_event" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "signal_tombstones_idx" ON "risk"."signal" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "order_tombstones_idx" ON "sales"."order" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "order_event_tombstones_idx" ON "sales"."order_event" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "order_line_tombstones_idx" ON "sales"."order_line" USING btree ("_deleted_at") WHERE _deleted;
CREATE INDEX "return_tombstones_idx" ON "sales"."return" USING btree ("_deleted_at") WHERE _deleted;
ALTER TABLE "forebay"."quarantine" ADD CONSTRAINT "quarantine_record" UNIQUE("topic","partition","offset","epoch","entity");
ALTER TABLE "billing"."payment" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "tenant_id" is not null and "order_id" is not null and "customer_id" is not null and "status" is not null and "amount" is not null and "currency" is not null and "created_at" is not null);
ALTER TABLE "billing"."refund" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "payment_id" is not null and "amount" is not null and "created_at" is not null);
ALTER TABLE "catalog"."product" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "tenant_id" is not null and "sku" is not null and "name" is not null and "category" is not null and "price" is not null);
ALTER TABLE "crm"."address" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "customer_id" is not null and "line1" is not null and "city" is not null and "country" is not null and "is_default" is not null and "updated_at" is not null);
ALTER TABLE "crm"."consent" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "granted" is not null and "changed_at" is not null);
ALTER TABLE "crm"."customer" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "tenant_id" is not null and "email" is not null and "full_name" is not null and "tier" is not null and "locale" is not null and "created_at" is not null and ("closed_at" is not null) is not true);
ALTER TABLE "crm"."ticket" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "tenant_id" is not null and "customer_id" is not null and "subject" is not null and "status" is not null and "opened_at" is not null);
ALTER TABLE "forebay"."audit_event" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "tenant_id" is not null and "actor" is not null and "subject_hash" is not null and "coordinate" is not null and "form" is not null and "at" is not null);
ALTER TABLE "fulfilment"."shipment" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "order_id" is not null and "warehouse_id" is not null and "status" is not null and "created_at" is not null and "due_at" is not null);
ALTER TABLE "fulfilment"."stock_level" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "on_hand" is not null and "reserved" is not null and "reorder_at" is not null);
ALTER TABLE "fulfilment"."warehouse" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "tenant_id" is not null and "name" is not null and "region" is not null and "zone" is not null);
ALTER TABLE "ops"."incident" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "title" is not null and "severity" is not null and "region" is not null and "opened_at" is not null);
ALTER TABLE "platform"."api_client" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "tenant_id" is not null and "key_hash" is not null and "name" is not null and "status" is not null and "scopes" is not null and "plan_id" is not null);
ALTER TABLE "platform"."flag" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "enabled" is not null and "rollout" is not null and "changed_at" is not null);
ALTER TABLE "platform"."plan" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "name" is not null and "per_minute" is not null and "per_day" is not null);
ALTER TABLE "platform"."usage_event" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "client_id" is not null and "units" is not null and "at" is not null);
ALTER TABLE "risk"."signal" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "tenant_id" is not null and "customer_id" is not null and "kind" is not null and "score" is not null and "seen_at" is not null);
ALTER TABLE "sales"."order" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "tenant_id" is not null and "customer_id" is not null and "status" is not null and "currency" is not null and "total" is not null and "total_home" is not null and "region" is not null and "placed_at" is not null);
ALTER TABLE "sales"."order_event" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "order_id" is not null and "kind" is not null and "at" is not null);
ALTER TABLE "sales"."order_line" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "product_id" is not null and "warehouse_id" is not null and "quantity" is not null and "price" is not null);
ALTER TABLE "sales"."return" ALTER COLUMN "_live" SET EXPRESSION AS (not _deleted and _awaits is null and "order_id" is not null and "customer_id" is not null and "opened_at" is not null);
create or replace trigger audit_is_append_only before update or delete or truncate on forebay.audit execute function forebay.append_only();
