-- The columns with their types before and after a change.
ALTER TABLE haulier.schema_change ADD COLUMN before jsonb, ADD COLUMN after jsonb;
COMMENT ON COLUMN haulier.schema_change.before IS 'Columns that changed, with their types; null for one that was not there.';
COMMENT ON COLUMN haulier.schema_change.after IS 'The same columns afterwards.';
