-- materialized: view
-- target: sdtm.lb
-- description: Laboratory results as SDTMIG 3.4 has them, one row a test of a specimen.
WITH baseline (visitnum) AS (
    -- The visit whose results are this trial's baseline (LBBLFL); a trial without one has an empty list here.
    VALUES (1)
), time_points (lbtpt, lbtptnum) AS (
    -- What the protocol plans within a visit, here nothing; a time point that is not here has no number.
    SELECT NULL::text, NULL::integer WHERE false
), subjects AS (
    SELECT m.studyid, m.usubjid, coalesce(m.rfxstdtc, '') = '' AS is_undosed,
           CASE WHEN m.rfstdtc ~ '^\d{4}-\d{2}-\d{2}' AND pg_input_is_valid(left(m.rfstdtc, 10), 'date')
               THEN left(m.rfstdtc, 10)::date END AS reference_day,
           CASE WHEN m.rfxstdtc ~ '^\d{4}-\d{2}-\d{2}' AND pg_input_is_valid(left(m.rfxstdtc, 10), 'date')
               THEN m.rfxstdtc END AS dosed,
           CASE WHEN m.rfxendtc ~ '^\d{4}-\d{2}-\d{2}' AND pg_input_is_valid(left(m.rfxendtc, 10), 'date')
               THEN left(m.rfxendtc, 10)::date END AS last_dose_day
    FROM clinical.dm AS m
), dated AS (
    SELECT f.*,
           coalesce(f.lbstresc, '') <> '' AND coalesce(f.lborres, '') <> '' AS has_result,
           CASE WHEN f.lbdtc ~ '^\d{4}-\d{2}-\d{2}' AND pg_input_is_valid(left(f.lbdtc, 10), 'date')
               THEN left(f.lbdtc, 10)::date END AS day
    FROM clinical.lb AS f
), compared AS (
    SELECT d.*, s.is_undosed, s.reference_day, s.dosed, s.last_dose_day,
           -- To the minute where both have one, else to the day.
           CASE WHEN length(d.lbdtc) >= 16 AND length(s.dosed) >= 16 THEN 16 ELSE 10 END AS places
    FROM dated AS d
    LEFT JOIN subjects AS s ON s.studyid = d.studyid AND s.usubjid = d.usubjid
), related AS (
    SELECT c.*,
           -- Before the first dose; on its day, where one of them has no time, counts as before.
           coalesce(c.has_result AND c.day IS NOT NULL
               AND (left(c.lbdtc, c.places) < left(c.dosed, c.places)
                    OR (c.places = 10 AND left(c.lbdtc, 10) = left(c.dosed, 10))), false) AS is_prior
    FROM compared AS c
)
SELECT r.studyid, 'LB'::text AS domain, r.usubjid,
       -- By date first, so that what arrives later is numbered behind what is there.
       row_number() OVER (
           PARTITION BY r.studyid, r.usubjid
           ORDER BY r.lbdtc COLLATE "C", r.visitnum, r.lbtestcd COLLATE "C", r.lbspec COLLATE "C", r.lbtpt COLLATE "C"
       ) AS lbseq,
       r.lbtestcd, r.lbtest, r.lbcat, r.lborres, r.lborresu, r.lbornrlo, r.lbornrhi, r.lbstresc,
       trim_scale(r.lbstresn) AS lbstresn, r.lbstresu, trim_scale(r.lbstnrlo) AS lbstnrlo,
       trim_scale(r.lbstnrhi) AS lbstnrhi, r.lbstnrc, r.lbnrind, r.lbstat, r.lbreasnd, r.lbloinc, nullif(r.lbspec, '') AS lbspec, r.lbspccnd,
       r.lbmethod,
       -- One a test, category, specimen and method: SDTMIG 3.4 as CDISC CORE reads it (CORE-000915).
       CASE WHEN r.is_prior AND row_number() OVER (
           PARTITION BY r.studyid, r.usubjid, r.lbtestcd, r.lbcat, r.lbspec, r.lbmethod, r.is_prior
           ORDER BY r.lbdtc COLLATE "C" DESC, r.visitnum DESC, r.lbtpt COLLATE "C" DESC
       ) = 1 THEN 'Y' END AS lblobxfl,
       CASE WHEN r.has_result AND r.visitnum IN (SELECT b.visitnum FROM baseline AS b) THEN 'Y' END AS lbblfl,
       trim_scale(r.visitnum) AS visitnum, r.visit, r.visitdy,
       -- What DM says of treatment; nothing where a date is partial or the subject has no row there.
       CASE
           WHEN r.day IS NULL THEN NULL
           WHEN r.is_undosed OR left(r.lbdtc, r.places) < left(r.dosed, r.places) THEN 'SCREENING'
           WHEN r.dosed IS NULL THEN NULL
           WHEN r.last_dose_day IS NULL OR r.day <= r.last_dose_day THEN 'TREATMENT'
           ELSE 'FOLLOW-UP'
       END AS epoch,
       nullif(r.lbdtc, '') AS lbdtc,
       r.day - r.reference_day + CASE WHEN r.day >= r.reference_day THEN 1 ELSE 0 END AS lbdy,
       nullif(r.lbtpt, '') AS lbtpt, t.lbtptnum, r.siteid
FROM related AS r
LEFT JOIN time_points AS t ON t.lbtpt = r.lbtpt
