-- A row that gets a value of an event older than its own, which its own did not carry, keeps its stamps.
ALTER TABLE haulier.history DROP CONSTRAINT history_operation_check,
    ADD CONSTRAINT history_operation_check CHECK (operation IN ('update', 'delete', 'remove', 'fill'));
COMMENT ON COLUMN haulier.history.operation IS
    'update, delete, remove (no row was read for it), or fill: an older event gave values that the row''s own did not carry.';
COMMENT ON TABLE haulier.tombstone IS
    'The newest deletion of each key, or of all of an instance''s (_haulier_pipeline, _haulier_instance), with its version; rows older than it stay out of the target.';
