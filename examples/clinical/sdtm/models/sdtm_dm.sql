-- materialized: view
-- target: sdtm.dm
-- description: Demographics as SDTMIG 3.4 has them, one row a subject.
WITH subjects AS (
    SELECT m.*,
           CASE WHEN m.rfstdtc ~ '^\d{4}-\d{2}-\d{2}' AND pg_input_is_valid(left(m.rfstdtc, 10), 'date')
               THEN left(m.rfstdtc, 10)::date END AS reference_day,
           CASE WHEN m.dmdtc ~ '^\d{4}-\d{2}-\d{2}' AND pg_input_is_valid(left(m.dmdtc, 10), 'date')
               THEN left(m.dmdtc, 10)::date END AS collection_day
    FROM clinical.dm AS m
)
SELECT s.studyid, 'DM'::text AS domain, s.usubjid, s.subjid, s.rfstdtc, s.rfendtc, s.rfxstdtc, s.rfxendtc, s.rfcstdtc,
       s.rfcendtc, s.rficdtc, s.rfpendtc, s.dthdtc, s.dthfl, s.siteid, s.invid, s.invnam, s.brthdtc, s.age, s.ageu, s.sex,
       s.race, s.ethnic, s.armcd, s.arm, s.actarmcd, s.actarm, s.armnrs, s.actarmud, s.country, s.dmdtc,
       -- There is no day 0: the reference day itself is day 1, the day before it is day -1.
       s.collection_day - s.reference_day + CASE WHEN s.collection_day >= s.reference_day THEN 1 ELSE 0 END AS dmdy
FROM subjects AS s
