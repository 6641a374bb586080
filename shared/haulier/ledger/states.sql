-- name: state
-- Where a source stands.
SELECT value FROM haulier.state WHERE pipeline = %(pipeline)s AND instance = %(instance)s AND name = %(name)s

-- name: set_state
-- A person says where a source stands.
INSERT INTO haulier.state (pipeline, instance, name, value, load_id)
VALUES (%(pipeline)s, %(instance)s, %(name)s, %(after)s::jsonb, NULL)
ON CONFLICT (pipeline, instance, name) DO UPDATE SET value = excluded.value, load_id = NULL

-- name: remove_state
-- A person says that a source was never read.
DELETE FROM haulier.state WHERE pipeline = %(pipeline)s AND instance = %(instance)s AND name = %(name)s

-- name: insert_change
-- What a person said, and why.
INSERT INTO haulier.state_change (pipeline, instance, name, before, after, reason, actor)
VALUES (%(pipeline)s, %(instance)s, %(name)s, %(before)s::jsonb, %(after)s::jsonb, %(reason)s, %(actor)s)
RETURNING change_id
