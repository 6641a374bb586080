-- The newest deletion of each key, so that an older row that arrives late does not bring it back.
CREATE TABLE haulier.tombstone (
    target       text NOT NULL,
    key          jsonb NOT NULL,
    load_id      bigint NOT NULL REFERENCES haulier.load,
    delivery_id  bigint NOT NULL REFERENCES haulier.delivery,
    row_number   bigint NOT NULL,
    sequence     integer NOT NULL,
    generation   integer NOT NULL,
    ordered      timestamptz NOT NULL,
    ordering     text,
    PRIMARY KEY (target, key)
);
COMMENT ON TABLE haulier.tombstone IS 'The newest deletion of each key, with its version; rows older than it stay out of the target.';
COMMENT ON COLUMN haulier.tombstone.ordering IS 'Value of the contract''s ordering column in the row that deleted.';

CREATE TRIGGER never_removed BEFORE DELETE OR TRUNCATE ON haulier.tombstone
    FOR EACH STATEMENT EXECUTE FUNCTION haulier.forbid_change();
