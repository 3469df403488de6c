-- Writes every row anew, under a lock that nothing passes: sales.order_line (amount)

DROP INDEX "billing"."payment_order_id_created_at_idx";
DROP INDEX "crm"."address_customer_id_is_default_updated_at_idx";
DROP INDEX "crm"."ticket_customer_id_opened_at_idx";
DROP INDEX "forebay"."dirty_shard_id";
DROP INDEX "fulfilment"."shipment_order_id_created_at_idx";
DROP INDEX "fulfilment"."shipment_warehouse_id_due_at_idx";
DROP INDEX "fulfilment"."stock_level_product_id_idx";
DROP INDEX "platform"."api_client_plan_id_idx";
DROP INDEX "sales"."order_customer_id_placed_at_idx";
DROP INDEX "sales"."order_event_order_id_at_idx";
DROP INDEX "sales"."order_line_product_id_idx";

CREATE TABLE "forebay"."drift" (
  "id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "forebay"."drift_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
  "pass" bigint NOT NULL,
  "name" text NOT NULL,
  "generation" integer,
  "proof" integer DEFAULT 0 NOT NULL,
  "key" text collate "C" NOT NULL,
  "shard" integer,
  "kind" text NOT NULL,
  "seen_at" timestamptz DEFAULT now() NOT NULL,
  "evidence" jsonb,
  "found_at" timestamptz,
  "repaired_at" timestamptz,
  "tries" integer DEFAULT 0 NOT NULL,
  CONSTRAINT "drift_pkey" PRIMARY KEY("id")
);

CREATE TABLE "forebay"."fills" (
  "generation" integer NOT NULL,
  "node" integer NOT NULL,
  "cursor" jsonb,
  "done" bigint DEFAULT 0 NOT NULL,
  "total" bigint DEFAULT 0 NOT NULL,
  "rate" double precision,
  "waiting" text,
  "started_at" timestamptz DEFAULT now() NOT NULL,
  "moved_at" timestamptz DEFAULT now() NOT NULL,
  "finished_at" timestamptz,
  CONSTRAINT "fills_pkey" PRIMARY KEY("generation","node")
);

CREATE TABLE "forebay"."gateways" (
  "id" text NOT NULL,
  "seen_at" timestamptz NOT NULL,
  "catalog" integer NOT NULL,
  CONSTRAINT "gateways_pkey" PRIMARY KEY("id")
);

CREATE TABLE "forebay"."parked_keys" (
  "id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "forebay"."parked_keys_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
  "generation" integer NOT NULL,
  "path" integer NOT NULL,
  "shard" integer NOT NULL,
  "key" text NOT NULL,
  "digest" text collate "C" NOT NULL,
  "sqlstate" text NOT NULL,
  "reason" text NOT NULL,
  "since" timestamptz DEFAULT now() NOT NULL,
  "attempts" integer DEFAULT 1 NOT NULL,
  "next_attempt_at" timestamptz NOT NULL,
  "origin" timestamptz,
  "offsets" jsonb,
  CONSTRAINT "parked_keys_pkey" PRIMARY KEY("id"),
  CONSTRAINT "parked_keys_key" UNIQUE("generation","path","digest")
);

CREATE TABLE "forebay"."pointers" (
  "view" text NOT NULL,
  "generation" integer NOT NULL,
  "moved_at" timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT "pointers_pkey" PRIMARY KEY("view")
);

CREATE TABLE "forebay"."reconciliations" (
  "id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "forebay"."reconciliations_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
  "kind" text NOT NULL,
  "name" text NOT NULL,
  "generation" integer,
  "asked_by" text,
  "state" text DEFAULT 'READING' NOT NULL,
  "cursor" jsonb,
  "started_at" timestamptz DEFAULT now() NOT NULL,
  "finished_at" timestamptz,
  "compared" bigint DEFAULT 0 NOT NULL,
  "drifted" bigint DEFAULT 0 NOT NULL,
  "repaired" bigint DEFAULT 0 NOT NULL,
  "waiting" text,
  CONSTRAINT "reconciliations_pkey" PRIMARY KEY("id")
);

CREATE TABLE "forebay"."view_floors" (
  "table" text NOT NULL,
  "floor" timestamptz NOT NULL,
  CONSTRAINT "view_floors_pkey" PRIMARY KEY("table")
);

ALTER TABLE "forebay"."degraded" ALTER COLUMN "quarantine" DROP NOT NULL;
ALTER TABLE "forebay"."degraded" ADD COLUMN "parked" bigint;
ALTER TABLE "forebay"."dirty" ADD COLUMN "fanout" jsonb;
ALTER TABLE "forebay"."generations" ADD COLUMN "declared" text;
ALTER TABLE "forebay"."generations" ADD COLUMN "state" text DEFAULT 'ACTIVE' NOT NULL;
ALTER TABLE "forebay"."generations" ADD COLUMN "definition" jsonb;
ALTER TABLE "forebay"."generations" ADD COLUMN "begun" integer DEFAULT 0 NOT NULL;
ALTER TABLE "forebay"."generations" ADD COLUMN "filled_at" timestamptz;
ALTER TABLE "forebay"."generations" ADD COLUMN "proven_at" timestamptz;
ALTER TABLE "forebay"."generations" ADD COLUMN "switched_at" timestamptz;
ALTER TABLE "forebay"."generations" ADD COLUMN "switched_catalog" integer;
ALTER TABLE "forebay"."generations" ADD COLUMN "rolled_back" boolean DEFAULT false NOT NULL;
ALTER TABLE "forebay"."generations" ADD COLUMN "reason" text;
ALTER TABLE "forebay"."generations" ADD COLUMN "failed_at" timestamptz;
ALTER TABLE "forebay"."generations" ADD COLUMN "dropped_at" timestamptz;
CREATE INDEX "drift_open" ON "forebay"."drift" USING btree ("pass","shard") WHERE repaired_at is null;
CREATE INDEX "drift_name_found" ON "forebay"."drift" USING btree ("name","found_at");
CREATE INDEX "parked_keys_due" ON "forebay"."parked_keys" USING btree ("generation","shard","next_attempt_at");
CREATE INDEX "parked_keys_generation_since" ON "forebay"."parked_keys" USING btree ("generation","since");
CREATE INDEX "reconciliations_open" ON "forebay"."reconciliations" USING btree ("kind","name") WHERE finished_at is null;
CREATE INDEX "reconciliations_name" ON "forebay"."reconciliations" USING btree ("name","finished_at");
CREATE INDEX "payment_customer_id_idx" ON "billing"."payment" USING btree ("customer_id") WHERE _live;
CREATE INDEX "payment_order_id_created_at_id_desc_idx" ON "billing"."payment" USING btree ("order_id","created_at","id" DESC NULLS FIRST) WHERE _live;
CREATE INDEX "refund_payment_id_idx" ON "billing"."refund" USING btree ("payment_id") WHERE _live;
CREATE INDEX "address_customer_id_is_default_updated_at_id_desc_idx" ON "crm"."address" USING btree ("customer_id","is_default","updated_at","id" DESC NULLS FIRST) WHERE _live;
CREATE INDEX "consent_customer_id_changed_at_purpose_desc_where_8e347b74_idx" ON "crm"."consent" USING btree ("customer_id","changed_at","purpose" DESC NULLS FIRST) WHERE _live and "purpose" = 'PERSONALIZATION'::text;
CREATE INDEX "ticket_customer_id_opened_at_id_desc_idx" ON "crm"."ticket" USING btree ("customer_id","opened_at","id" DESC NULLS FIRST) WHERE _live;
CREATE INDEX "ticket_expiry_idx" ON "crm"."ticket" USING btree ("opened_at") WHERE not _deleted;
CREATE INDEX "audit_event_expiry_idx" ON "forebay"."audit_event" USING btree ("at") WHERE not _deleted;
CREATE INDEX "degraded_parked" ON "forebay"."degraded" USING btree ("parked");
CREATE INDEX "dirty_fanout" ON "forebay"."dirty" USING btree ("shard","id") WHERE fanout is not null;
CREATE INDEX "dirty_shard_id" ON "forebay"."dirty" USING btree ("shard","id") WHERE fanout is null;
CREATE INDEX "shipment_order_id_created_at_id_desc_idx" ON "fulfilment"."shipment" USING btree ("order_id","created_at","id" DESC NULLS FIRST) WHERE _live;
CREATE INDEX "shipment_order_id_created_at_id_idx" ON "fulfilment"."shipment" USING btree ("order_id","created_at","id") WHERE _live;
CREATE INDEX "shipment_order_id_id_idx" ON "fulfilment"."shipment" USING btree ("order_id","id") WHERE _live;
CREATE INDEX "shipment_warehouse_id_due_at_id_where_3041d120_idx" ON "fulfilment"."shipment" USING btree ("warehouse_id","due_at","id") WHERE _live and "status" = any(array['CREATED'::text, 'PICKED'::text]::text[]);
CREATE INDEX "shipment_warehouse_id_idx" ON "fulfilment"."shipment" USING btree ("warehouse_id") WHERE _live;
CREATE INDEX "stock_level_product_id_warehouse_id_idx" ON "fulfilment"."stock_level" USING btree ("product_id","warehouse_id") WHERE _live;
CREATE INDEX "incident_tenant_id_region_id_idx" ON "ops"."incident" USING btree ("tenant_id","region","id") WHERE _live;
CREATE INDEX "api_client_plan_id_id_idx" ON "platform"."api_client" USING btree ("plan_id","id") WHERE _live;
CREATE INDEX "usage_event_client_id_idx" ON "platform"."usage_event" USING btree ("client_id") WHERE _live;
CREATE INDEX "usage_event_expiry_idx" ON "platform"."usage_event" USING btree ("at") WHERE not _deleted;
CREATE INDEX "signal_customer_id_score_idx" ON "risk"."signal" USING btree ("customer_id","score") WHERE _live;
CREATE INDEX "signal_customer_id_score_seen_at_id_desc_where_42ce70da_idx" ON "risk"."signal" USING btree ("customer_id","score","seen_at","id" DESC NULLS FIRST) WHERE _live and "score" >= '0.5000'::numeric;
CREATE INDEX "signal_expiry_idx" ON "risk"."signal" USING btree ("seen_at") WHERE not _deleted;
CREATE INDEX "signal_order_id_score_id_desc_idx" ON "risk"."signal" USING btree ("order_id","score","id" DESC NULLS FIRST) WHERE _live;
CREATE INDEX "order_customer_id_id_idx" ON "sales"."order" USING btree ("customer_id","id") WHERE _live;
CREATE INDEX "order_customer_id_placed_at_id_desc_idx" ON "sales"."order" USING btree ("customer_id","placed_at","id" DESC NULLS FIRST) WHERE _live;
CREATE INDEX "order_tenant_id_region_idx" ON "sales"."order" USING btree ("tenant_id","region") WHERE _live;
CREATE INDEX "order_tenant_id_region_placed_at_id_desc_where_4b8cdf54_idx" ON "sales"."order" USING btree ("tenant_id","region","placed_at","id" DESC NULLS FIRST) WHERE _live and "status" = any(array['PAID'::text, 'PICKING'::text]::text[]);
CREATE INDEX "order_event_order_id_at_id_idx" ON "sales"."order_event" USING btree ("order_id","at","id") WHERE _live;
CREATE INDEX "order_line_product_id_order_id_position_idx" ON "sales"."order_line" USING btree ("product_id","order_id","position") WHERE _live;
CREATE INDEX "return_order_id_idx" ON "sales"."return" USING btree ("order_id") WHERE _live;

ALTER TABLE "sales"."order_line" ADD COLUMN "amount" numeric GENERATED ALWAYS AS (case when not _deleted then ("price" * "quantity"
)::numeric end) STORED;
