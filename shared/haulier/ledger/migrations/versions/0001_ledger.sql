-- The ledger: what happened, forever. Append-only except `run` and `state`; triggers hold that.
CREATE SEQUENCE haulier.fence AS bigint;

CREATE TABLE haulier.run (
    run_id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline        text NOT NULL,
    instance        text NOT NULL,
    interval_start  timestamptz NOT NULL,
    interval_end    timestamptz NOT NULL,
    generation      integer NOT NULL DEFAULT 0 CHECK (generation >= 0),
    fence           bigint NOT NULL DEFAULT 0,
    status          text NOT NULL CHECK (status IN ('open', 'empty', 'loaded', 'quarantined')),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (interval_start < interval_end),
    UNIQUE (pipeline, instance, interval_start, interval_end)
);
COMMENT ON TABLE haulier.run IS 'One UTC interval [start, end) of one instance; its current generation and fence never fall.';

CREATE TABLE haulier.generation (
    run_id             bigint NOT NULL REFERENCES haulier.run,
    generation         integer NOT NULL CHECK (generation > 0),
    definition_digest  text NOT NULL,
    reason             text NOT NULL,
    actor              text NOT NULL,
    opened_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, generation)
);
COMMENT ON TABLE haulier.generation IS 'The content of a run: a new one when its input changed or a person asked.';

CREATE TABLE haulier.delivery (
    delivery_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline       text NOT NULL,
    instance       text NOT NULL,
    logical_name   text NOT NULL,
    sequence       integer CHECK (sequence > 0),
    sha256         text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    bytes          bigint NOT NULL CHECK (bytes >= 0),
    uri            text NOT NULL,
    modified_at    timestamptz NOT NULL,
    original       text NOT NULL,
    disposition    text NOT NULL CHECK (disposition IN ('reserved', 'resend', 'copy')),
    same_as        bigint REFERENCES haulier.delivery,
    run_id         bigint NOT NULL REFERENCES haulier.run,
    seen_at        timestamptz NOT NULL DEFAULT now(),
    CHECK ((disposition = 'reserved') = (sequence IS NOT NULL)),
    CHECK ((disposition = 'reserved') = (same_as IS NULL)),
    UNIQUE (pipeline, instance, logical_name, sequence)
);
CREATE INDEX ON haulier.delivery (pipeline, instance, uri, delivery_id DESC);
CREATE INDEX ON haulier.delivery (pipeline, instance, sha256);
CREATE INDEX ON haulier.delivery (run_id);
COMMENT ON TABLE haulier.delivery IS 'Every file as it arrived; a reserved one belongs to exactly one run, the others repeat it.';

CREATE TABLE haulier.generation_delivery (
    run_id       bigint NOT NULL,
    generation   integer NOT NULL,
    delivery_id  bigint NOT NULL REFERENCES haulier.delivery,
    PRIMARY KEY (run_id, generation, delivery_id),
    FOREIGN KEY (run_id, generation) REFERENCES haulier.generation
);

CREATE TABLE haulier.attempt (
    attempt_id  uuid NOT NULL,
    run_id      bigint NOT NULL REFERENCES haulier.run,
    step        text NOT NULL CHECK (step IN ('extract', 'transform', 'load')),
    content     text NOT NULL,
    fence       bigint,
    actor       text NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (attempt_id, step)
);
CREATE INDEX ON haulier.attempt (run_id);

CREATE TABLE haulier.replay (
    replay_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id        bigint NOT NULL REFERENCES haulier.run,
    generation    integer NOT NULL,
    definition_digest text NOT NULL,
    reason        text NOT NULL,
    actor         text NOT NULL,
    requested_at  timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (run_id, generation) REFERENCES haulier.generation
);
COMMENT ON TABLE haulier.replay IS 'Rejects of one generation asked to be hauled again after a fix.';

CREATE TABLE haulier.load (
    load_id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind               text NOT NULL CHECK (kind IN ('run', 'replay')),
    target             text NOT NULL,
    run_id             bigint NOT NULL,
    generation         integer NOT NULL,
    replay_id          bigint UNIQUE REFERENCES haulier.replay,
    input_digest       text NOT NULL,
    manifest           text NOT NULL,
    definition_digest  text NOT NULL,
    outcome            text NOT NULL CHECK (outcome IN ('loaded', 'quarantined')),
    exit_code          integer NOT NULL,
    mode               text NOT NULL,
    fence              bigint NOT NULL,
    attempt_id         uuid NOT NULL,
    actor              text NOT NULL,
    versions           jsonb NOT NULL,
    produced           bigint NOT NULL,
    inserted           bigint NOT NULL CHECK (inserted >= 0),
    updated            bigint NOT NULL CHECK (updated >= 0),
    unchanged          bigint NOT NULL CHECK (unchanged >= 0),
    superseded         bigint NOT NULL CHECK (superseded >= 0),
    duplicate          bigint NOT NULL CHECK (duplicate >= 0),
    deleted            bigint NOT NULL CHECK (deleted >= 0),
    rejected           bigint NOT NULL CHECK (rejected >= 0),
    held               bigint NOT NULL CHECK (held >= 0),
    removed            bigint NOT NULL CHECK (removed >= 0),
    vanished           bigint NOT NULL DEFAULT 0 CHECK (vanished >= 0),
    started_at         timestamptz NOT NULL,
    loaded_at          timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (run_id, generation) REFERENCES haulier.generation,
    CHECK ((kind = 'replay') = (replay_id IS NOT NULL)),
    CHECK ((outcome = 'loaded') = (exit_code = 0)),
    CHECK (outcome = 'loaded' OR inserted + updated + unchanged + superseded + deleted + removed = 0),
    CONSTRAINT target_account_closes CHECK
        (produced = inserted + updated + unchanged + superseded + duplicate + deleted + rejected + held)
);
CREATE UNIQUE INDEX load_once ON haulier.load (target, run_id, generation) WHERE kind = 'run';
CREATE INDEX ON haulier.load (run_id);
COMMENT ON TABLE haulier.load IS 'One commit into one target, with its account; in the same transaction as the rows.';

CREATE TABLE haulier.source_account (
    load_id      bigint NOT NULL REFERENCES haulier.load,
    delivery_id  bigint NOT NULL REFERENCES haulier.delivery,
    read         bigint NOT NULL,
    accepted     bigint NOT NULL CHECK (accepted >= 0),
    filtered     bigint NOT NULL CHECK (filtered >= 0),
    rejected     bigint NOT NULL CHECK (rejected >= 0),
    stripped     bigint NOT NULL CHECK (stripped >= 0),
    PRIMARY KEY (load_id, delivery_id),
    CONSTRAINT source_account_closes CHECK (read = accepted + filtered + rejected + stripped)
);
CREATE INDEX ON haulier.source_account (delivery_id);

CREATE TABLE haulier.reject (
    reject_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    load_id       bigint NOT NULL REFERENCES haulier.load,
    delivery_id   bigint NOT NULL REFERENCES haulier.delivery,
    row_number    bigint NOT NULL,
    output        integer,
    step          text NOT NULL,
    rule          text NOT NULL,
    column_name   text,
    message       text NOT NULL,
    problems      jsonb NOT NULL,
    verbatim      bytea NOT NULL,
    verbatim_bytes bigint NOT NULL,
    UNIQUE NULLS NOT DISTINCT (load_id, delivery_id, row_number, output)
);
CREATE INDEX ON haulier.reject (delivery_id, row_number);
COMMENT ON TABLE haulier.reject IS 'The dead letter: rows that did not enter the target, verbatim, with their reason.';

CREATE TABLE haulier.reject_event (
    event_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reject_id  bigint NOT NULL REFERENCES haulier.reject,
    status     text NOT NULL CHECK (status IN ('replayed', 'failed again', 'regenerated', 'corrected')),
    load_id    bigint NOT NULL REFERENCES haulier.load,
    message    text NOT NULL DEFAULT '',
    at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON haulier.reject_event (reject_id);
CREATE UNIQUE INDEX reject_resolved_once ON haulier.reject_event (reject_id) WHERE status <> 'failed again';
COMMENT ON TABLE haulier.reject_event IS 'What became of a reject; open until a resolving event, of which there is at most one.';

CREATE TABLE haulier.replay_reject (
    replay_id  bigint NOT NULL REFERENCES haulier.replay,
    reject_id  bigint NOT NULL REFERENCES haulier.reject,
    PRIMARY KEY (replay_id, reject_id)
);

CREATE TABLE haulier.flag (
    flag_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    load_id      bigint NOT NULL REFERENCES haulier.load,
    delivery_id  bigint NOT NULL REFERENCES haulier.delivery,
    row_number   bigint NOT NULL,
    output       integer,
    rule         text NOT NULL,
    column_name  text,
    message      text NOT NULL
);
CREATE INDEX ON haulier.flag (load_id);
CREATE INDEX ON haulier.flag (delivery_id, row_number);

CREATE TABLE haulier.history (
    history_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    load_id     bigint NOT NULL REFERENCES haulier.load,
    target      text NOT NULL,
    operation   text NOT NULL CHECK (operation IN ('update', 'delete', 'remove')),
    key         jsonb,
    before      jsonb NOT NULL
);
CREATE INDEX ON haulier.history (load_id);
CREATE INDEX ON haulier.history (target, key);
COMMENT ON TABLE haulier.history IS 'The previous version of every row a load changed, whole; load_id is the load that replaced it.';

CREATE TABLE haulier.state (
    pipeline    text NOT NULL,
    instance    text NOT NULL,
    name        text NOT NULL,
    value       jsonb NOT NULL,
    load_id     bigint NOT NULL REFERENCES haulier.load,
    PRIMARY KEY (pipeline, instance, name)
);

CREATE TABLE haulier.schema_change (
    change_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target      text NOT NULL,
    kind        text NOT NULL,
    ddl         text NOT NULL,
    run_id      bigint REFERENCES haulier.run,
    actor       text NOT NULL,
    at          timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE haulier.chain (
    target          text NOT NULL,
    link            bigint NOT NULL CHECK (link > 0),
    load_id         bigint NOT NULL UNIQUE REFERENCES haulier.load,
    previous        bytea,
    history_digest  bytea NOT NULL,
    reject_digest   bytea NOT NULL,
    hash            bytea NOT NULL,
    PRIMARY KEY (target, link),
    CHECK ((link = 1) = (previous IS NULL))
);
COMMENT ON TABLE haulier.chain IS 'One link per commit into a target: a changed or missing row of the past breaks every later hash.';

-- The digests a link seals. Stable text, so that any later reader computes the same.
CREATE FUNCTION haulier.history_digest(the_load bigint) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(coalesce(string_agg(sha256(convert_to(
        jsonb_build_array(h.history_id, h.target, h.operation, h.key, h.before)::text, 'UTF8')), ''::bytea ORDER BY h.history_id), ''::bytea))
    FROM haulier.history h WHERE h.load_id = the_load
$$;

CREATE FUNCTION haulier.reject_digest(the_load bigint) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(coalesce((SELECT string_agg(sha256(convert_to(jsonb_build_array(
            r.reject_id, r.delivery_id, r.row_number, r.output, r.step, r.rule, r.column_name, r.message, r.problems,
            r.verbatim_bytes, encode(sha256(r.verbatim), 'hex'))::text, 'UTF8')), ''::bytea ORDER BY r.reject_id)
        FROM haulier.reject r WHERE r.load_id = the_load), ''::bytea)
     || coalesce((SELECT string_agg(sha256(convert_to(jsonb_build_array(
            e.event_id, e.reject_id, e.status, e.message)::text, 'UTF8')), ''::bytea ORDER BY e.event_id)
        FROM haulier.reject_event e WHERE e.load_id = the_load), ''::bytea))
$$;

CREATE FUNCTION haulier.link_hash(the_load bigint, previous bytea, history_digest bytea, reject_digest bytea)
RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(coalesce(previous, ''::bytea) || history_digest || reject_digest || convert_to(jsonb_build_array(
        l.load_id, l.kind, l.target, l.run_id, l.generation, l.replay_id, l.input_digest, l.manifest, l.definition_digest,
        l.outcome, l.exit_code, l.mode, l.actor, l.produced, l.inserted, l.updated, l.unchanged, l.superseded,
        l.duplicate, l.deleted, l.rejected, l.held, l.removed,
        (SELECT jsonb_agg(jsonb_build_array(a.delivery_id, a.read, a.accepted, a.filtered, a.rejected, a.stripped) ORDER BY a.delivery_id)
           FROM haulier.source_account a WHERE a.load_id = l.load_id))::text, 'UTF8'))
    FROM haulier.load l WHERE l.load_id = the_load
$$;

CREATE FUNCTION haulier.forbid_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on haulier.% is not allowed: the ledger is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['generation', 'delivery', 'generation_delivery', 'attempt', 'replay', 'replay_reject', 'load',
        'source_account', 'reject', 'reject_event', 'flag', 'history', 'schema_change', 'chain']
    LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON haulier.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION haulier.forbid_change()', name);
    END LOOP;
END $$;

-- A run's generation and fence never fall.
CREATE FUNCTION haulier.forbid_fall() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.generation < OLD.generation OR NEW.fence < OLD.fence THEN
        RAISE EXCEPTION 'run %: generation and fence never fall', OLD.run_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER never_falls BEFORE UPDATE ON haulier.run FOR EACH ROW EXECUTE FUNCTION haulier.forbid_fall();
CREATE TRIGGER never_removed BEFORE DELETE OR TRUNCATE ON haulier.run FOR EACH STATEMENT EXECUTE FUNCTION haulier.forbid_change();

CREATE VIEW haulier.open_reject AS
    SELECT r.*, l.run_id, l.generation, l.target, l.loaded_at, d.pipeline, d.instance, d.logical_name, d.uri, d.sha256
    FROM haulier.reject r
    JOIN haulier.load l USING (load_id)
    JOIN haulier.delivery d USING (delivery_id)
    WHERE NOT EXISTS (SELECT FROM haulier.reject_event e
                      WHERE e.reject_id = r.reject_id AND e.status <> 'failed again');
COMMENT ON VIEW haulier.open_reject IS 'Rejects nobody has resolved yet.';
