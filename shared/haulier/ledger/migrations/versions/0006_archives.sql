-- Partitions that left their table: detached first, archived once their copy was read back, restored some day.
CREATE TABLE haulier.archive (
    archive_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target            text NOT NULL,
    partition_schema  text NOT NULL,
    partition_name    text NOT NULL,
    parent_schema     text NOT NULL,
    parent_name       text NOT NULL,
    bounds            jsonb NOT NULL,
    expression        text NOT NULL,
    actor             text NOT NULL,
    detached_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON haulier.archive (target);
COMMENT ON TABLE haulier.archive IS 'A partition that was detached to be archived; what became of it is in archive_event.';
COMMENT ON COLUMN haulier.archive.bounds IS 'What its rows have in common, from the outer level to the inner one.';

CREATE TABLE haulier.archive_event (
    archive_id       bigint NOT NULL REFERENCES haulier.archive,
    event            text NOT NULL CHECK (event IN ('archived', 'restored')),
    store            text,
    manifest         text,
    manifest_sha256  text CHECK (manifest_sha256 ~ '^[0-9a-f]{64}$'),
    rows             bigint CHECK (rows >= 0),
    actor            text NOT NULL,
    at               timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (archive_id, event),
    CHECK (event <> 'archived' OR (store IS NOT NULL AND manifest IS NOT NULL AND manifest_sha256 IS NOT NULL AND rows IS NOT NULL))
);
COMMENT ON TABLE haulier.archive_event IS 'archived: its copy was read back and the table dropped; restored: it is a partition again.';

CREATE TABLE haulier.archive_stamp (
    archive_id   bigint NOT NULL REFERENCES haulier.archive,
    load_id      bigint NOT NULL,
    delivery_id  bigint NOT NULL,
    generation   integer NOT NULL,
    rows         bigint NOT NULL CHECK (rows > 0),
    PRIMARY KEY (archive_id, load_id, delivery_id, generation)
);
CREATE INDEX ON haulier.archive_stamp (load_id);
COMMENT ON TABLE haulier.archive_stamp IS 'Whose rows an archived partition holds: the ledger answers for them as for those of the table.';

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['archive', 'archive_event', 'archive_stamp']
    LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON haulier.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION haulier.forbid_change()', name);
    END LOOP;
END $$;

CREATE VIEW haulier.archived AS
    SELECT a.*, e.archive_id IS NULL AS is_detached, e.store, e.manifest, e.manifest_sha256, e.rows, e.at AS archived_at
    FROM haulier.archive a
    LEFT JOIN haulier.archive_event e ON e.archive_id = a.archive_id AND e.event = 'archived'
    WHERE NOT EXISTS (SELECT FROM haulier.archive_event r WHERE r.archive_id = a.archive_id AND r.event = 'restored');
COMMENT ON VIEW haulier.archived IS 'Partitions that are away now; a detached one is on its way and still a table of its own.';
