-- materialized: view
-- target: clinical_elt.latest
-- description: Each subject's newest value of each test.
WITH ranked AS (
    SELECT study, subject, testcd, visit_date, position, result, unit,
           row_number() OVER (PARTITION BY study, subject, testcd ORDER BY visit_date DESC, position, visit) AS place
    FROM clinical_elt.vitals
)
SELECT study, subject, testcd, visit_date, position, result, unit FROM ranked WHERE place = 1
