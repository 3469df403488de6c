CREATE TABLE "forebay"."change_feeds" (
  "feed" text NOT NULL,
  "sequence" bigint DEFAULT 0 NOT NULL,
  "pid" integer NOT NULL,
  "backend_start" timestamptz,
  "opened_at" timestamptz DEFAULT now() NOT NULL,
  CONSTRAINT "change_feeds_pkey" PRIMARY KEY("feed")
);

CREATE TABLE "forebay"."key_secret" (
  "id" boolean DEFAULT true NOT NULL,
  "secret" text NOT NULL,
  CONSTRAINT "key_secret_pkey" PRIMARY KEY("id"),
  CONSTRAINT "key_secret_is_one_row" CHECK ("id")
);

ALTER TABLE "forebay"."positions" ADD COLUMN "source_lsn" bigint;

insert into forebay.key_secret (secret) values (replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')) on conflict do nothing;
