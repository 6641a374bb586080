-- Samples taken within the run's interval, with how many results each has.
SELECT s.sample, s.taken_at, count(r.result) AS results
FROM samples s
LEFT JOIN results r ON r.sample = s.sample
WHERE s.taken_at >= {start} AND s.taken_at < {end}
GROUP BY s.sample, s.taken_at
