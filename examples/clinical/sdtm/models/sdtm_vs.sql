-- materialized: view
-- target: sdtm.vs
-- description: Vital signs as SDTMIG 3.4 has them, one row a measurement.
WITH baseline (visitnum) AS (
    -- The visit whose results are this trial's baseline (VSBLFL); a trial without one has an empty list here.
    VALUES (3)
), time_points (vstpt, vstptnum, vseltm, vstptref) AS (
    -- What the protocol plans within a visit; a time point that is not here has no number.
    VALUES ('AFTER LYING DOWN FOR 5 MINUTES', 815, 'PT5M', 'PATIENT SUPINE'),
           ('AFTER STANDING FOR 1 MINUTE', 816, 'PT1M', 'PATIENT STANDING'),
           ('AFTER STANDING FOR 3 MINUTES', 817, 'PT3M', 'PATIENT STANDING')
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
           coalesce(f.vsstresc, '') <> '' AND coalesce(f.vsorres, '') <> '' AS has_result,
           CASE WHEN f.vsdtc ~ '^\d{4}-\d{2}-\d{2}' AND pg_input_is_valid(left(f.vsdtc, 10), 'date')
               THEN left(f.vsdtc, 10)::date END AS day
    FROM clinical.vs AS f
), compared AS (
    SELECT d.*, s.is_undosed, s.reference_day, s.dosed, s.last_dose_day,
           -- To the minute where both have one, else to the day.
           CASE WHEN length(d.vsdtc) >= 16 AND length(s.dosed) >= 16 THEN 16 ELSE 10 END AS places
    FROM dated AS d
    LEFT JOIN subjects AS s ON s.studyid = d.studyid AND s.usubjid = d.usubjid
), related AS (
    SELECT c.*,
           -- Before the first dose; on its day, where one of them has no time, counts as before.
           coalesce(c.has_result AND c.day IS NOT NULL
               AND (left(c.vsdtc, c.places) < left(c.dosed, c.places)
                    OR (c.places = 10 AND left(c.vsdtc, 10) = left(c.dosed, 10))), false) AS is_prior
    FROM compared AS c
)
SELECT r.studyid, 'VS'::text AS domain, r.usubjid,
       -- By date first, so that what arrives later is numbered behind what is there.
       row_number() OVER (
           PARTITION BY r.studyid, r.usubjid
           ORDER BY r.vsdtc COLLATE "C", r.visitnum, r.vstestcd COLLATE "C", r.vstpt COLLATE "C", r.vspos COLLATE "C"
       ) AS vsseq,
       r.vstestcd, r.vstest, nullif(r.vspos, '') AS vspos, r.vsorres, r.vsorresu, r.vsstresc,
       trim_scale(r.vsstresn) AS vsstresn, r.vsstresu, r.vsstat, r.vsreasnd, r.vsloc,
       -- One a test, whatever the position and the time point: SDTMIG 3.4 as CDISC CORE reads it (CORE-000915).
       CASE WHEN r.is_prior AND row_number() OVER (
           PARTITION BY r.studyid, r.usubjid, r.vstestcd, r.is_prior
           ORDER BY r.vsdtc COLLATE "C" DESC, r.visitnum DESC, r.vstpt COLLATE "C" DESC, r.vspos COLLATE "C" DESC
       ) = 1 THEN 'Y' END AS vslobxfl,
       CASE WHEN r.has_result AND r.visitnum IN (SELECT b.visitnum FROM baseline AS b) THEN 'Y' END AS vsblfl,
       trim_scale(r.visitnum) AS visitnum, r.visit, r.visitdy,
       -- What DM says of treatment; nothing where a date is partial or the subject has no row there.
       CASE
           WHEN r.day IS NULL THEN NULL
           WHEN r.is_undosed OR left(r.vsdtc, r.places) < left(r.dosed, r.places) THEN 'SCREENING'
           WHEN r.dosed IS NULL THEN NULL
           WHEN r.last_dose_day IS NULL OR r.day <= r.last_dose_day THEN 'TREATMENT'
           ELSE 'FOLLOW-UP'
       END AS epoch,
       nullif(r.vsdtc, '') AS vsdtc,
       r.day - r.reference_day + CASE WHEN r.day >= r.reference_day THEN 1 ELSE 0 END AS vsdy,
       nullif(r.vstpt, '') AS vstpt, t.vstptnum, t.vseltm, t.vstptref, r.siteid
FROM related AS r
LEFT JOIN time_points AS t ON t.vstpt = r.vstpt
