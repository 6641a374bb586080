-- Runs in shards: where their rows wait for the closing load. Beside the ledger, and gone once it is written.
CREATE SCHEMA haulier_stage;
COMMENT ON SCHEMA haulier_stage IS 'UNLOGGED tables of runs that are loaded in shards; each is dropped after its run.';

CREATE TABLE haulier.staged_shard (
    run_id      bigint NOT NULL REFERENCES haulier.run,
    generation  integer NOT NULL,
    shard       integer NOT NULL CHECK (shard > 0),
    rows        bigint NOT NULL CHECK (rows >= 0),
    parts       text[] NOT NULL,
    attempt_id  uuid NOT NULL,
    staged_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, generation, shard)
);
COMMENT ON TABLE haulier.staged_shard IS 'Shards whose rows are in their run''s stage, whole; removed with it.';
