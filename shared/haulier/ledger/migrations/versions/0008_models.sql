-- SQL models: what was built of a run's rows, and the loads of those that merge.
CREATE TABLE haulier.model_build (
    build_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id        bigint NOT NULL,
    generation    integer NOT NULL,
    replay_id     bigint REFERENCES haulier.replay,
    model         text NOT NULL,
    materialized  text NOT NULL CHECK (materialized IN ('merge', 'table', 'view')),
    target        text NOT NULL,
    reads         text[] NOT NULL,
    sql_digest    text NOT NULL,
    outcome       text NOT NULL CHECK (outcome IN ('built', 'unchanged', 'quarantined')),
    rows          bigint CHECK (rows >= 0),
    load_id       bigint UNIQUE REFERENCES haulier.load,
    fence         bigint NOT NULL,
    attempt_id    uuid NOT NULL,
    actor         text NOT NULL,
    built_at      timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (run_id, generation) REFERENCES haulier.generation,
    CHECK ((materialized = 'merge') = (load_id IS NOT NULL)),
    UNIQUE NULLS NOT DISTINCT (run_id, generation, replay_id, model)
);
CREATE INDEX ON haulier.model_build (target, build_id DESC);
COMMENT ON TABLE haulier.model_build IS 'What each SQL model made of a run, and which tables it read; a merge has its account in load.';
COMMENT ON COLUMN haulier.model_build.reads IS 'The tables and views its SQL names.';
COMMENT ON COLUMN haulier.model_build.rows IS 'Rows its SQL gave; a view gives them to whoever asks.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON haulier.model_build
    FOR EACH STATEMENT EXECUTE FUNCTION haulier.forbid_change();

ALTER TABLE haulier.load DROP CONSTRAINT load_kind_check, DROP CONSTRAINT load_check, DROP CONSTRAINT load_replay_id_key;
ALTER TABLE haulier.load ADD CONSTRAINT load_kind_check CHECK (kind IN ('run', 'replay', 'model')),
    ADD CONSTRAINT load_check CHECK (kind = 'model' OR (kind = 'replay') = (replay_id IS NOT NULL));
CREATE UNIQUE INDEX load_replay_id_key ON haulier.load (replay_id) WHERE kind = 'replay';
CREATE UNIQUE INDEX load_model_once ON haulier.load (target, run_id, generation, replay_id) NULLS NOT DISTINCT WHERE kind = 'model';

ALTER TABLE haulier.attempt DROP CONSTRAINT attempt_step_check;
ALTER TABLE haulier.attempt ADD CONSTRAINT attempt_step_check CHECK (step IN ('extract', 'transform', 'load', 'models'));
