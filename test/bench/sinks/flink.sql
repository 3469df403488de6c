-- The bench's view in Flink SQL, from the same topics: the last record of a key that comes counts, as in Flink's own CDC formats (which refuse
-- updates without an old image, so the envelope is read as plain JSON). Everything that makes it faster is on: two slots, mini-batches, state in memory.
SET 'execution.target' = 'local';
SET 'execution.runtime-mode' = 'streaming';
SET 'parallelism.default' = '2';
SET 'table.dml-sync' = 'true';
SET 'table.exec.mini-batch.enabled' = 'true';
SET 'table.exec.mini-batch.allow-latency' = '500 ms';
SET 'table.exec.mini-batch.size' = '5000';
SET 'table.optimizer.agg-phase-strategy' = 'TWO_PHASE';
SET 'state.backend.type' = 'hashmap';
SET 'execution.checkpointing.interval' = '10 s';
SET 'execution.checkpointing.dir' = '@checkpoints@';

CREATE TABLE customers_log (
  op STRING, `after` ROW<id STRING, email STRING, full_name STRING, tier STRING, note STRING>, `before` ROW<id STRING>,
  `source` ROW<lsn BIGINT>, seen AS PROCTIME()
) WITH ('connector' = 'kafka', 'topic' = 'bench.customers', @kafka@);
CREATE TABLE orders_log (
  op STRING, `after` ROW<id STRING, customer_id STRING, status STRING, total DECIMAL(12, 2), placed_at STRING>, `before` ROW<id STRING>,
  `source` ROW<lsn BIGINT>, seen AS PROCTIME()
) WITH ('connector' = 'kafka', 'topic' = 'bench.orders', @kafka@);
CREATE TABLE payments_log (
  op STRING, `after` ROW<id STRING, order_id STRING, status STRING, created_at STRING>, `before` ROW<id STRING>,
  `source` ROW<lsn BIGINT>, seen AS PROCTIME()
) WITH ('connector' = 'kafka', 'topic' = 'bench.payments', @kafka@);
CREATE TABLE shipments_log (
  op STRING, `after` ROW<id STRING, order_id STRING, carrier STRING, created_at STRING>, `before` ROW<id STRING>,
  `source` ROW<lsn BIGINT>, seen AS PROCTIME()
) WITH ('connector' = 'kafka', 'topic' = 'bench.shipments', @kafka@);

CREATE TABLE customer_overview (
  id STRING, email STRING, full_name STRING, tier STRING, note STRING,
  order_count BIGINT, spent DECIMAL(38, 2), last_order_at STRING, recent_orders STRING, PRIMARY KEY (id) NOT ENFORCED
) WITH ('connector' = 'jdbc', 'url' = '@url@', 'username' = '@username@', 'password' = '@password@', 'table-name' = 'customer_overview',
  'sink.buffer-flush.max-rows' = '5000', 'sink.buffer-flush.interval' = '500 ms');

CREATE VIEW customers AS SELECT c.* FROM (
  SELECT `after`.id AS id, `after`.email AS email, `after`.full_name AS full_name, `after`.tier AS tier, `after`.note AS note, op,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(`after`.id, `before`.id) ORDER BY @order@ DESC) AS n FROM customers_log) c WHERE n = 1 AND op <> 'd';
CREATE VIEW orders AS SELECT o.* FROM (
  SELECT `after`.id AS id, `after`.customer_id AS customer_id, `after`.status AS status, `after`.total AS total, `after`.placed_at AS placed_at, op,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(`after`.id, `before`.id) ORDER BY @order@ DESC) AS n FROM orders_log) o WHERE n = 1 AND op <> 'd';
CREATE VIEW payments AS SELECT p.* FROM (
  SELECT `after`.id AS id, `after`.order_id AS order_id, `after`.status AS status, `after`.created_at AS created_at, op,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(`after`.id, `before`.id) ORDER BY @order@ DESC) AS n FROM payments_log) p WHERE n = 1 AND op <> 'd';
CREATE VIEW shipments AS SELECT s.* FROM (
  SELECT `after`.id AS id, `after`.order_id AS order_id, `after`.carrier AS carrier, `after`.created_at AS created_at, op,
    ROW_NUMBER() OVER (PARTITION BY COALESCE(`after`.id, `before`.id) ORDER BY @order@ DESC) AS n FROM shipments_log) s WHERE n = 1 AND op <> 'd';

CREATE VIEW totals AS
  SELECT customer_id, COUNT(*) AS order_count, SUM(total) FILTER (WHERE status <> 'CANCELLED') AS spent, MAX(placed_at) AS last_order_at
  FROM orders GROUP BY customer_id;
CREATE VIEW recent AS SELECT * FROM (
  SELECT id, customer_id, status, total, placed_at, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY placed_at DESC, id) AS place FROM orders)
  WHERE place <= 10;
CREATE VIEW last_payment AS SELECT * FROM (
  SELECT order_id, status, ROW_NUMBER() OVER (PARTITION BY order_id ORDER BY created_at DESC, id) AS place FROM payments) WHERE place = 1;
CREATE VIEW last_shipment AS SELECT * FROM (
  SELECT order_id, carrier, ROW_NUMBER() OVER (PARTITION BY order_id ORDER BY created_at DESC, id) AS place FROM shipments) WHERE place = 1;
CREATE VIEW lists AS
  SELECT r.customer_id, JSON_ARRAYAGG(JSON_OBJECT(
    'id' VALUE r.id, 'status' VALUE r.status, 'total' VALUE CAST(r.total AS STRING), 'placedAt' VALUE r.placed_at,
    'paymentStatus' VALUE p.status, 'carrier' VALUE s.carrier)) AS recent_orders
  FROM recent r LEFT JOIN last_payment p ON p.order_id = r.id LEFT JOIN last_shipment s ON s.order_id = r.id GROUP BY r.customer_id;

INSERT INTO customer_overview
  SELECT c.id, c.email, c.full_name, c.tier, c.note, COALESCE(t.order_count, 0), COALESCE(t.spent, 0), t.last_order_at, l.recent_orders
  FROM customers c LEFT JOIN totals t ON t.customer_id = c.id LEFT JOIN lists l ON l.customer_id = c.id;
