-- Files that were refused before a byte of them was kept: all that is known of them for ever. docs/adr/0018.
CREATE TABLE haulier.refusal (
    refusal_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline           text NOT NULL,
    instance           text NOT NULL,
    interval_start     timestamptz NOT NULL,
    interval_end       timestamptz NOT NULL,
    uri                text,
    sha256             text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    bytes              bigint NOT NULL CHECK (bytes >= 0),
    modified_at        timestamptz NOT NULL,
    findings           jsonb NOT NULL,
    definition_digest  text NOT NULL,
    attempt_id         uuid NOT NULL,
    actor              text NOT NULL,
    refused_at         timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (pipeline, instance, uri, sha256, definition_digest)
);
COMMENT ON TABLE haulier.refusal IS 'Files with direct identifiers (source.identifiers): where these were, never what they were; nothing else of them is here.';
COMMENT ON COLUMN haulier.refusal.uri IS 'Null where the name itself was an identifier.';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON haulier.refusal
    FOR EACH STATEMENT EXECUTE FUNCTION haulier.forbid_change();
