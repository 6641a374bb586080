-- name: loaded
-- What load recorded of this content in the raw table.
SELECT load_id, outcome, inserted FROM haulier.load
WHERE target = %(raw)s AND run_id = %(run_id)s AND generation = %(generation)s AND replay_id IS NOT DISTINCT FROM %(replay_id)s
  AND kind <> 'model'

-- name: count_raw
-- How many rows of a load are in the raw table.
SELECT count(*) FROM {raw} r

-- name: built
-- What the ledger holds of this content's models.
SELECT b.model, b.target, b.outcome, b.rows, l.outcome, l.exit_code, l.produced, l.inserted, l.updated, l.unchanged, l.superseded,
       l.duplicate, l.rejected, l.held
FROM haulier.model_build b LEFT JOIN haulier.load l USING (load_id)
WHERE b.run_id = %(run_id)s AND b.generation = %(generation)s AND b.replay_id IS NOT DISTINCT FROM %(replay_id)s
ORDER BY b.build_id

-- name: insert_build
-- What a model made of this content, and what it read.
INSERT INTO haulier.model_build (run_id, generation, replay_id, model, materialized, target, reads, sql_digest, outcome, rows,
    load_id, fence, attempt_id, actor)
VALUES (%(run_id)s, %(generation)s, %(replay_id)s, %(model)s, %(materialized)s, %(target)s, %(reads)s, %(sql_digest)s, %(built)s,
    %(rows)s, %(load_id)s, %(fence)s, %(attempt)s, %(actor)s)

-- name: drop_temporary
-- The tables of the model before this one.
DROP TABLE IF EXISTS pg_temp.haulier_result, pg_temp.haulier_stage, pg_temp.haulier_verdict, pg_temp.haulier_matched,
    pg_temp.haulier_fate

-- name: select
-- A model's rows, as they come.
CREATE TEMP TABLE haulier_result ON COMMIT DROP AS
{model}

-- name: of_run
-- The rows of a table that one load wrote.
(SELECT * FROM {table} WHERE _haulier_load = {load_id})

-- name: result_columns
-- The columns of a model's rows, as PostgreSQL writes their types.
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = 'pg_temp.haulier_result'::regclass AND attnum > 0 ORDER BY attnum

-- name: count_result
-- How many rows a model gave.
SELECT count(*) FROM pg_temp.haulier_result

-- name: astray
-- Rows of a model that name no row of this run's raw ones.
SELECT count(*) FROM pg_temp.haulier_result s
WHERE NOT EXISTS (SELECT FROM {raw} r WHERE r._haulier_delivery = s._haulier_delivery AND r._haulier_row = s._haulier_row)

-- name: number_outputs
-- Several rows of one source row are told apart by their number, in an order of their own values.
WITH numbered AS (
    SELECT ctid AS id, row_number() OVER w - 1 AS place, count(*) OVER (PARTITION BY _haulier_delivery, _haulier_row) AS n
    FROM pg_temp.haulier_result WINDOW w AS (PARTITION BY _haulier_delivery, _haulier_row ORDER BY {columns})
)
UPDATE pg_temp.haulier_result s SET _haulier_output = numbered.place FROM numbered WHERE s.ctid = numbered.id AND numbered.n > 1

-- name: add_output
-- A model that does not number its outputs.
ALTER TABLE pg_temp.haulier_result ADD COLUMN _haulier_output integer

-- name: twins
-- Rows that nothing tells apart: a reject of one could not be told from that of the other.
SELECT count(*) FROM (SELECT FROM pg_temp.haulier_result GROUP BY _haulier_delivery, _haulier_row, _haulier_output
                      HAVING count(*) > 1) AS twin

-- name: account
-- Of each delivery: the rows of this run that came into the raw table, and those that the model made something of.
SELECT d.delivery_id,
       (SELECT count(DISTINCT r._haulier_row) FROM {raw} r WHERE r._haulier_delivery = d.delivery_id),
       (SELECT count(DISTINCT s._haulier_row) FROM pg_temp.haulier_result s WHERE s._haulier_delivery = d.delivery_id)
FROM unnest(%(deliveries)s::bigint[]) AS d (delivery_id) ORDER BY 1

-- name: not_readable
-- Rows whose value is not one of the column's type.
DELETE FROM pg_temp.haulier_result s WHERE s.{column} IS NOT NULL AND NOT {readable}
RETURNING s._haulier_delivery, s._haulier_row, s._haulier_output

-- name: stage
-- What is left, in the contract's types.
CREATE TEMP TABLE haulier_stage ({definitions}, _haulier_delivery bigint, _haulier_sequence integer, _haulier_row bigint,
    _haulier_output integer, _haulier_reject text, _haulier_flag text) ON COMMIT DROP

-- name: fill_stage
-- Each row with the sequence of its delivery.
INSERT INTO pg_temp.haulier_stage ({columns}, _haulier_delivery, _haulier_sequence, _haulier_row, _haulier_output, _haulier_reject,
    _haulier_flag)
SELECT {values}, s._haulier_delivery, d.sequence, s._haulier_row, s._haulier_output, {reject}, {flag}
FROM pg_temp.haulier_result s
JOIN unnest(%(deliveries)s::bigint[], %(sequences)s::integer[]) AS d (delivery_id, sequence) ON d.delivery_id = s._haulier_delivery

-- name: breaking
-- Rows that break a rule of the contract.
DELETE FROM pg_temp.haulier_stage s WHERE {breaks} RETURNING s._haulier_delivery, s._haulier_row, s._haulier_output

-- name: refused
-- Rows that the model itself refuses, with its reason.
DELETE FROM pg_temp.haulier_stage s WHERE s._haulier_reject IS NOT NULL
RETURNING s._haulier_delivery, s._haulier_row, s._haulier_output, s._haulier_reject

-- name: flagged
-- Rows that enter, with something to look at.
SELECT s._haulier_delivery, s._haulier_row, s._haulier_output, s._haulier_flag FROM pg_temp.haulier_stage s
WHERE s._haulier_flag IS NOT NULL ORDER BY 1, 2, 3

-- name: odd
-- Rows that enter though a value is outside its soft limits.
SELECT s._haulier_delivery, s._haulier_row, s._haulier_output FROM pg_temp.haulier_stage s WHERE {is_odd} ORDER BY 1, 2, 3

-- name: insert_flags
-- What the model flagged.
INSERT INTO haulier.flag (load_id, delivery_id, row_number, output, rule, column_name, message) VALUES %s

-- name: is_there
-- Whether something has this name already.
SELECT to_regclass(%(target)s) IS NOT NULL

-- name: last_build
-- Which pipeline last made this table or view, whether of this very SQL, and whether the newest definition that came by is
-- another one than this run's: it may have found everything as it should be.
WITH told AS (
    SELECT b.build_id, b.outcome, r.pipeline, b.sql_digest = %(sql_digest)s AS is_same, g.opened_at
    FROM haulier.model_build b JOIN haulier.generation g USING (run_id, generation) JOIN haulier.run r USING (run_id)
    WHERE b.target = %(target)s AND b.materialized = %(materialized)s
)
SELECT made.pipeline, made.is_same,
       NOT newest.is_same AND newest.opened_at > (SELECT mine.opened_at FROM haulier.generation mine
                                                  WHERE mine.run_id = %(run_id)s AND mine.generation = %(generation)s)
FROM (SELECT * FROM told WHERE outcome = 'built' ORDER BY build_id DESC LIMIT 1) AS made
CROSS JOIN (SELECT * FROM told ORDER BY opened_at DESC, build_id DESC LIMIT 1) AS newest

-- name: create_schema
-- Where the target is to be.
CREATE SCHEMA IF NOT EXISTS {schema}

-- name: create_view
-- The view, in place: who may read it and what reads it stay.
CREATE OR REPLACE VIEW {target} AS
{model}

-- name: create_table
-- A table with the columns a model gives.
CREATE TABLE {target} ({definitions})

-- name: is_other
-- Whether the table holds anything but the model's rows.
SELECT EXISTS (SELECT FROM ((SELECT {columns} FROM {target} EXCEPT ALL SELECT {columns} FROM pg_temp.haulier_result)
                            UNION ALL
                            (SELECT {columns} FROM pg_temp.haulier_result EXCEPT ALL SELECT {columns} FROM {target})) AS one)

-- name: empty
-- The table's rows give way in one transaction: readers see the old ones or the new.
DELETE FROM {target}

-- name: fill
-- The model's rows.
INSERT INTO {target} ({columns}) SELECT {columns} FROM pg_temp.haulier_result
