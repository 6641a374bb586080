-- name: record
-- An attempt that failed.
INSERT INTO haulier.failure (pipeline, instance, interval_start, interval_end, step, attempt_id, exit_code, reason, actor)
VALUES (%(pipeline)s, %(instance)s, %(interval_start)s, %(interval_end)s, %(step)s, %(attempt)s, %(exit_code)s, %(reason)s, %(actor)s)
