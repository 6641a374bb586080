-- name: record
-- A refused file; the same again, under the same definition, is the same refusal.
INSERT INTO haulier.refusal (pipeline, instance, interval_start, interval_end, uri, sha256, bytes, modified_at, findings,
    definition_digest, attempt_id, actor)
VALUES (%(pipeline)s, %(instance)s, %(interval_start)s, %(interval_end)s, %(uri)s, %(sha256)s, %(bytes)s, %(modified_at)s,
    %(findings)s, %(definition_digest)s, %(attempt)s, %(actor)s)
ON CONFLICT DO NOTHING
