-- name: outcomes
-- What became of the rejects of some replays.
SELECT p.replay_id, l.load_id,
       count(e.event_id) FILTER (WHERE e.status = 'replayed') AS replayed,
       count(e.event_id) FILTER (WHERE e.status = 'failed again') AS failed_again,
       (SELECT count(*) FROM haulier.reject r WHERE r.load_id = l.load_id) AS new_rejects
FROM haulier.replay p
JOIN haulier.load l ON l.replay_id = p.replay_id AND l.kind = 'replay'
LEFT JOIN haulier.reject_event e ON e.load_id = l.load_id
WHERE p.replay_id = ANY(%(replays)s)
GROUP BY p.replay_id, l.load_id
ORDER BY p.replay_id
