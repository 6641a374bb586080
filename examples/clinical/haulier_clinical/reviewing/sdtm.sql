-- name: extent
-- How many rows, subjects and sites.
SELECT count(*) AS records, count(DISTINCT usubjid) AS subjects, count(DISTINCT siteid) AS sites FROM {rows} AS f

-- name: lateness
-- Days from collection to the load that gave a row its values, by site.
WITH waited AS (
    -- A day after the load is a slip, and nothing came in time by it.
    SELECT f.siteid, CASE WHEN w.days >= 0 THEN w.days END AS days
    FROM {rows} AS f
    JOIN haulier.load AS l ON l.load_id = f.load_id
    CROSS JOIN LATERAL (SELECT (l.loaded_at AT TIME ZONE 'UTC')::date - f.day AS days) AS w
)
SELECT siteid AS site, count(*) AS records, count(*) - count(days) AS undated,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY days) AS median, percentile_cont(0.9) WITHIN GROUP (ORDER BY days) AS p90,
       max(days) AS longest, count(*) FILTER (WHERE days <= %(within)s) AS within
FROM waited
GROUP BY GROUPING SETS ((siteid), ())
ORDER BY siteid COLLATE "C" NULLS FIRST

-- name: subjects
-- Whom DM has, since when they are in the trial and until when.
SELECT usubjid, siteid AS site, sex, start, consent, least(ended, died) AS ended FROM {dm} AS d ORDER BY siteid COLLATE "C", usubjid COLLATE "C"

-- name: received
-- What came of each subject's visits.
SELECT usubjid, visitnum, count(*) AS records, count(*) FILTER (WHERE stat IS DISTINCT FROM 'NOT DONE') AS done
FROM {rows} AS f
WHERE visitnum IS NOT NULL
GROUP BY usubjid, visitnum

-- name: window
-- The days that results are of, without the one in two hundred that is so old that it may be a slip; and how many series they make.
WITH days AS (
    SELECT day, count(*) AS records FROM {rows} AS f WHERE stresn IS NOT NULL AND day <= %(today)s GROUP BY day
), counted AS (
    SELECT day, records, sum(records) OVER (ORDER BY day) AS so_far, sum(records) OVER () AS total FROM days
)
SELECT min(day) FILTER (WHERE so_far >= 0.005 * total) AS first, max(day) AS last, coalesce(sum(records), 0)::bigint AS records,
       (SELECT count(*) FROM (SELECT DISTINCT testcd, spec, siteid FROM {rows} AS f WHERE stresn IS NOT NULL) AS one) AS series
FROM counted

-- name: tests
-- Of each test: how many results, how they spread over all sites, in which units, and the share beyond its range.
SELECT testcd, spec, min(test) AS test, count(*) AS records, percentile_cont(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY stresn) AS quartiles,
       array_agg(DISTINCT stresu) AS units, count(nrind) AS ranged, count(*) FILTER (WHERE nrind <> 'NORMAL') AS beyond
FROM {rows} AS f
WHERE stresn IS NOT NULL
GROUP BY testcd, spec
ORDER BY testcd COLLATE "C", spec COLLATE "C"

-- name: beyond
-- The same shares by site.
SELECT testcd, spec, siteid AS site, count(nrind) AS ranged, count(*) FILTER (WHERE nrind <> 'NORMAL') AS beyond
FROM {rows} AS f
WHERE stresn IS NOT NULL AND nrind IS NOT NULL
GROUP BY testcd, spec, siteid

-- name: medians
-- Of each test, site and period: median, spread, and the units that were sent.
SELECT testcd, spec, siteid AS site, (day - %(first)s::date) / %(width)s AS period, count(*) AS records,
       percentile_cont(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY stresn) AS quartiles, array_agg(DISTINCT orresu) AS sent
FROM {rows} AS f
WHERE stresn IS NOT NULL AND day BETWEEN %(first)s AND %(today)s
GROUP BY testcd, spec, siteid, period
ORDER BY testcd COLLATE "C", spec COLLATE "C", siteid COLLATE "C", period

-- name: digits
-- Which last digits a site's whole numbers have, as they were sent.
SELECT siteid AS site, right(orres, 1)::integer AS digit, count(*) AS records
FROM {rows} AS f
WHERE testcd = ANY (%(tests)s) AND orres ~ '^[0-9]+$'
GROUP BY siteid, digit

-- name: repeats
-- How often a measurement is exactly the subject's one before it, and the most in a row that are alike.
WITH ordered AS (
    SELECT siteid, usubjid, testcd, pos, tpt, stresn, lag(stresn) OVER w AS before, row_number() OVER w AS place
    FROM {rows} AS f
    WHERE stresn IS NOT NULL AND testcd <> ALL (%(constant)s)
    WINDOW w AS (PARTITION BY usubjid, testcd, pos, tpt ORDER BY dtc COLLATE "C", visitnum)
), alike AS (
    SELECT siteid, usubjid, testcd, pos, tpt, stresn,
           place - row_number() OVER (PARTITION BY usubjid, testcd, pos, tpt, stresn ORDER BY place) AS streak
    FROM ordered
), streaks AS (
    SELECT siteid, count(*) AS length FROM alike GROUP BY siteid, usubjid, testcd, pos, tpt, stresn, streak
), longest AS (
    SELECT siteid, max(length) AS longest FROM streaks GROUP BY siteid
)
SELECT o.siteid AS site, count(o.before) AS pairs, count(*) FILTER (WHERE o.stresn = o.before) AS alike, l.longest
FROM ordered AS o
JOIN longest AS l ON l.siteid = o.siteid
GROUP BY o.siteid, l.longest

-- name: strangers
-- Subjects with results whom DM does not have.
SELECT f.siteid AS site, f.usubjid, count(*) AS records, min(f.day) AS first, max(f.day) AS last
FROM {rows} AS f
WHERE NOT EXISTS (SELECT FROM {dm} AS d WHERE d.usubjid = f.usubjid)
GROUP BY f.siteid, f.usubjid
ORDER BY f.siteid COLLATE "C", f.usubjid COLLATE "C"

-- name: silent
-- Subjects of DM without any result.
SELECT d.siteid AS site, d.usubjid, d.start
FROM {dm} AS d
WHERE NOT EXISTS (SELECT FROM {rows} AS f WHERE f.usubjid = d.usubjid)
ORDER BY d.siteid COLLATE "C", d.usubjid COLLATE "C"

-- name: mismatches
-- Subjects of whom the results say another site or sex than DM.
SELECT d.siteid AS site, f.usubjid, f.said_site, d.sex, f.sex AS said_sex, count(*) AS records
FROM {rows} AS f
JOIN {dm} AS d ON d.usubjid = f.usubjid
WHERE (f.said_site <> d.siteid AND d.siteid <> '?') OR f.sex <> d.sex
GROUP BY d.siteid, f.usubjid, f.said_site, d.sex, f.sex
ORDER BY d.siteid COLLATE "C", f.usubjid COLLATE "C", f.said_site COLLATE "C", f.sex COLLATE "C"

-- name: misdated
-- Results of days that cannot be: before the reference start at a visit that is planned on or after it, before the informed
-- consent, or in the future.
SELECT reason, site, usubjid, visit, count(*) AS records, min(day) AS first, max(day) AS last
FROM (
    SELECT r.reason, f.siteid AS site, f.usubjid, f.visit, f.day
    FROM {rows} AS f
    LEFT JOIN {dm} AS d ON d.usubjid = f.usubjid
    CROSS JOIN LATERAL (VALUES ('start', f.day < d.start AND f.visitdy >= 1), ('consent', f.day < d.consent),
                               ('future', f.day > %(today)s)) AS r (reason, holds)
    WHERE (f.day > %(today)s OR f.day < d.start OR f.day < d.consent) AND r.holds
) AS found
GROUP BY reason, site, usubjid, visit
ORDER BY reason, site COLLATE "C", usubjid COLLATE "C", first, visit COLLATE "C"
