-- How far a source was read: recorded with each increment, moved by the load of its rows, or by a person.
ALTER TABLE haulier.delivery ADD COLUMN position jsonb;
COMMENT ON COLUMN haulier.delivery.position IS 'Of an increment: name of the state, and its value before (start) and after (end).';

ALTER TABLE haulier.state ALTER COLUMN load_id DROP NOT NULL;
COMMENT ON TABLE haulier.state IS 'How far each source was read and loaded; load_id is empty where a person set it.';

CREATE TABLE haulier.state_change (
    change_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline   text NOT NULL,
    instance   text NOT NULL,
    name       text NOT NULL,
    before     jsonb,
    after      jsonb,
    reason     text NOT NULL CHECK (reason <> ''),
    actor      text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON haulier.state_change (pipeline, instance, change_id);
COMMENT ON TABLE haulier.state_change IS 'Every time a person moved a position; what loads moved is in their deliveries.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON haulier.state_change
    FOR EACH STATEMENT EXECUTE FUNCTION haulier.forbid_change();
