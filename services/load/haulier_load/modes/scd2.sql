-- name: bound
-- Until when each version of the staged keys holds: the next version or deletion of its key ends it.
CREATE TEMP TABLE {bounds_name} ON COMMIT DROP AS
WITH keys AS (
    SELECT DISTINCT {versioned_key} FROM {stage}
), events AS (
    SELECT {t_versioned_key}, t.{valid_from} AS at, NULL::tid AS id
    FROM {target} t JOIN keys USING ({versioned_key})
    WHERE {within}
      AND NOT EXISTS (SELECT FROM {fate} f WHERE f.part = t.tableoid AND f.tid = t.ctid AND f.fate = 'deleted')
    UNION ALL
    SELECT {s_versioned_key}, s.{valid_from}, s.ctid
    FROM {fate} f JOIN {stage} s ON s.ctid = f.id
    WHERE f.fate = 'inserted' OR f.deletes AND f.fate <> 'superseded'
    UNION ALL
    SELECT {keys_versioned_key}, (b.key ->> %(valid_from)s)::{valid_from_type}, NULL
    FROM haulier.tombstone b JOIN keys ON b.key - %(valid_from)s = jsonb_build_object({keys_pairs})
    WHERE b.target = %(target)s
)
SELECT {versioned_key}, at, id, first_value(at) OVER (
    PARTITION BY {versioned_key} ORDER BY at GROUPS BETWEEN 1 FOLLOWING AND 1 FOLLOWING) AS until
FROM events

-- name: rebound
-- Versions that are there and whose end moved: closed by a later one, or by one that came in between.
UPDATE {target} t SET {valid_to} = b.until
FROM (SELECT DISTINCT {versioned_key}, at, until FROM {bounds}) b
WHERE {within} AND {t_is_b} AND t.{valid_from} = b.at AND t.{valid_to} IS DISTINCT FROM b.until

-- name: insert_versions
-- New versions, each until the next.
INSERT INTO {target} ({columns}, {valid_to}, _haulier_load, _haulier_delivery, _haulier_row, _haulier_sequence,
    _haulier_generation, _haulier_ordered, _haulier_since)
SELECT {values}, b.until, %(load_id)s, s._haulier_delivery, s._haulier_row, s._haulier_sequence, %(generation)s, %(ordered)s,
    %(load_id)s
FROM {fate} f JOIN {stage} s ON s.ctid = f.id JOIN {bounds} b ON b.id = s.ctid
WHERE f.fate = 'inserted'
