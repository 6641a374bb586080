-- Attempts that ended without a result, so that who asks how an instance stands is told why. docs/adr/0019.
CREATE TABLE haulier.failure (
    failure_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline        text NOT NULL,
    instance        text NOT NULL,
    interval_start  timestamptz NOT NULL,
    interval_end    timestamptz NOT NULL,
    step            text NOT NULL CHECK (step IN ('extract', 'transform', 'load', 'models')),
    attempt_id      uuid NOT NULL,
    exit_code       integer NOT NULL CHECK (exit_code NOT IN (0, 99)),
    reason          text NOT NULL,
    actor           text NOT NULL,
    failed_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (interval_start < interval_end)
);
CREATE INDEX ON haulier.failure (pipeline, instance, interval_start, interval_end, failure_id DESC);
COMMENT ON TABLE haulier.failure IS 'Attempts that failed and could still say so; a run may not exist yet. None: nothing failed, or it was killed or had no database.';
COMMENT ON COLUMN haulier.failure.reason IS 'What the step''s log says; never a cell''s value.';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON haulier.failure
    FOR EACH STATEMENT EXECUTE FUNCTION haulier.forbid_change();
