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

CREATE TABLE "forebay"."idempotency" (
  "topic" text NOT NULL,
  "writer" text NOT NULL,
  "key" text NOT NULL,
  "body" bytea NOT NULL,
  "positions" jsonb NOT NULL,
  "at" timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT "idempotency_pkey" PRIMARY KEY("topic","writer","key")
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

ALTER TABLE "forebay"."journal_ends" ADD COLUMN "start_offset" bigint DEFAULT 0 NOT NULL;
ALTER TABLE "forebay"."positions" ADD COLUMN "source_frontier" timestamptz;
ALTER TABLE "forebay"."positions" ADD COLUMN "unasked" text;
ALTER TABLE "forebay"."positions" ADD COLUMN "topic_id" text;
ALTER TABLE "forebay"."positions" ADD COLUMN "waits_for" jsonb;
ALTER TABLE "forebay"."positions" ADD COLUMN "paused_by" text;
ALTER TABLE "forebay"."positions" ADD COLUMN "stopped_at" timestamptz;
ALTER TABLE "forebay"."quarantine" ADD COLUMN "epoch" integer DEFAULT 0 NOT NULL;
ALTER TABLE "forebay"."quarantine" ADD COLUMN "entity_key" text collate "C";
ALTER TABLE "forebay"."quarantine" ADD COLUMN "major" bigint;
ALTER TABLE "forebay"."quarantine" ADD COLUMN "told" jsonb;
ALTER TABLE "forebay"."quarantine" ADD COLUMN "origin" timestamptz;
ALTER TABLE "forebay"."quarantine" ADD COLUMN "settled_at" timestamptz;
CREATE INDEX "degraded_generation_key" ON "forebay"."degraded" USING btree ("generation","key");
CREATE INDEX "degraded_quarantine" ON "forebay"."degraded" USING btree ("quarantine");
CREATE INDEX "idempotency_at" ON "forebay"."idempotency" USING btree ("at");
CREATE INDEX "dirty_generation_origin" ON "forebay"."dirty" USING btree ("generation","origin");
CREATE INDEX "quarantine_held" ON "forebay"."quarantine" USING btree ("entity","entity_key") WHERE state in ('PARKED', 'WAITING');
ALTER TABLE "forebay"."quarantine" ADD CONSTRAINT "quarantine_record" UNIQUE("topic","partition","offset","epoch","entity");
create or replace trigger audit_is_append_only before update or delete or truncate on forebay.audit execute function forebay.append_only();
