-- materialized: table
-- target: clinical_elt.visits
-- description: How much was measured on each day of each visit, counted anew after every run.
SELECT v.study, v.visit, v.visit_date, count(DISTINCT v.subject) AS subjects, count(*) AS measurements
FROM clinical_elt.vitals AS v
GROUP BY v.study, v.visit, v.visit_date
