-- materialized: merge
-- contract: ../contracts/vitals.odcs.yaml
-- description: One row a measurement, with its unit; what is impossible is rejected, what is unusual is flagged.
WITH tests (testcd, unit, low, high, usual_low, usual_high) AS (
    VALUES ('SYSBP', 'mmHg', 40, 300, 70, 220),
           ('DIABP', 'mmHg', 20, 200, 40, 130),
           ('PULSE', 'beats/min', 20, 300, 40, 160),
           ('TEMP', 'C', 32, 44, 34, 41),
           ('WEIGHT', 'kg', 20, 400, 35, 200)
), measured AS (
    SELECT r.*, m.place, m.testcd,
           -- Each site has one decimal mark; the other one is no part of a number.
           CASE current_setting('haulier.parameter.decimal_mark')
               WHEN ',' THEN translate(m.result, ',.', '.,') ELSE m.result END AS result
    FROM clinical_elt.vitals_raw AS r
    CROSS JOIN LATERAL (VALUES (0, 'SYSBP', r.sys_bp), (1, 'DIABP', r.dia_bp), (2, 'PULSE', r.pulse),
                               (3, 'TEMP', r.temp_c), (4, 'WEIGHT', r.weight_kg)) AS m (place, testcd, result)
    WHERE m.result <> ''
), dated AS (
    SELECT m.*,
           -- Text that is no such date stays what no date looks like, so that the contract rejects it.
           CASE
               WHEN current_setting('haulier.parameter.dates') = 'dotted' AND m.visit_date ~ '^[0-9]{2}\.[0-9]{2}\.[0-9]{4}$'
                   THEN concat_ws('-', substr(m.visit_date, 7, 4), substr(m.visit_date, 4, 2), substr(m.visit_date, 1, 2))
               WHEN current_setting('haulier.parameter.dates') = 'named'
                    AND m.visit_date ~* '^[0-9]{2}-(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)-[0-9]{4}$'
                   THEN concat_ws('-', substr(m.visit_date, 8, 4), lpad(
                       ((strpos('JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC', upper(substr(m.visit_date, 4, 3))) + 2) / 3)::text, 2, '0'),
                       substr(m.visit_date, 1, 2))
               ELSE 'as sent: ' || m.visit_date
           END AS iso_date,
           CASE WHEN m.result ~ '^[+-]?[0-9]+(\.[0-9]+)?$' THEN m.result::numeric END AS number
    FROM measured AS m
)
SELECT d.study, d.subject, d.visit, d.iso_date AS visit_date, d.position, d.testcd, d.result, t.unit,
       CASE WHEN d.number < t.low OR d.number > t.high
           THEN format('%s is possible from %s to %s %s; check the value and its unit', d.testcd, t.low, t.high, t.unit)
       END AS _haulier_reject,
       CASE WHEN d.number < t.usual_low OR d.number > t.usual_high
           THEN format('%s is usual from %s to %s %s', d.testcd, t.usual_low, t.usual_high, t.unit)
       END AS _haulier_flag,
       d._haulier_delivery, d._haulier_row, d.place AS _haulier_output
FROM dated AS d
JOIN tests AS t USING (testcd)
