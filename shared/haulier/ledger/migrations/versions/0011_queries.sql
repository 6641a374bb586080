-- Rejects and flags are queries: somebody has to answer for each until it is settled. docs/adr/0017.
ALTER TABLE haulier.load ADD COLUMN owner text;
COMMENT ON COLUMN haulier.load.owner IS 'Who answers for the pipeline, as its definition said; null in loads from before.';

ALTER TABLE haulier.flag ADD COLUMN line bytea;
COMMENT ON COLUMN haulier.flag.line IS 'SHA-256 of the source row''s cells; null: not known, so that no later flag can be told to be the same.';

-- What loads say of flags, as reject_event has it of rejects.
CREATE TABLE haulier.flag_event (
    flag_id  bigint PRIMARY KEY REFERENCES haulier.flag,
    status   text NOT NULL CHECK (status IN ('corrected', 'regenerated')),
    load_id  bigint NOT NULL REFERENCES haulier.load,
    message  text NOT NULL,
    at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON haulier.flag_event (load_id);
COMMENT ON TABLE haulier.flag_event IS 'Flags that a later load of their file or run took the place of; those without are of rows that stand.';

CREATE VIEW haulier.open_flag AS
    SELECT f.*, l.run_id, l.generation, l.target, l.loaded_at, d.pipeline, d.instance, d.logical_name, d.sequence
    FROM haulier.flag f
    JOIN haulier.load l USING (load_id)
    JOIN haulier.delivery d USING (delivery_id)
    WHERE NOT EXISTS (SELECT FROM haulier.flag_event e WHERE e.flag_id = f.flag_id);
COMMENT ON VIEW haulier.open_flag IS 'Flags no later load took the place of.';

-- Flags from before, as loads would have said; their links seal none of it.
INSERT INTO haulier.flag_event (flag_id, status, load_id, message, at)
SELECT DISTINCT ON (f.flag_id) f.flag_id, CASE WHEN n.delivery_id > f.delivery_id THEN 'corrected' ELSE 'regenerated' END, later.load_id,
       CASE WHEN n.delivery_id > f.delivery_id THEN 'delivery ' || n.delivery_id ELSE 'generation ' || later.generation END, later.loaded_at
FROM haulier.flag f
JOIN haulier.load l USING (load_id)
JOIN haulier.delivery d USING (delivery_id)
JOIN haulier.delivery n ON n.pipeline = d.pipeline AND n.instance = d.instance AND n.logical_name = d.logical_name AND n.sequence >= d.sequence
JOIN haulier.generation_delivery g ON g.delivery_id = n.delivery_id
JOIN haulier.load later ON later.run_id = g.run_id AND later.generation = g.generation AND later.target = l.target
     AND later.replay_id IS NULL AND later.outcome = 'loaded' AND later.load_id > l.load_id
     AND (n.sequence > d.sequence OR later.run_id = l.run_id)
ORDER BY f.flag_id, later.load_id, n.sequence DESC;

CREATE TABLE haulier.query_repeat (
    reject_id  bigint UNIQUE REFERENCES haulier.reject,
    flag_id    bigint UNIQUE REFERENCES haulier.flag,
    first_id   bigint NOT NULL,
    load_id    bigint NOT NULL REFERENCES haulier.load,
    CHECK (num_nonnulls(reject_id, flag_id) = 1),
    CHECK (first_id < coalesce(reject_id, flag_id))
);
CREATE INDEX ON haulier.query_repeat (load_id);
CREATE INDEX ON haulier.query_repeat (first_id);
COMMENT ON TABLE haulier.query_repeat IS 'Rejects and flags that say of a line sent anew what was said of it before: the same query, not another one.';
COMMENT ON COLUMN haulier.query_repeat.first_id IS 'The reject or flag that the query began with: its number, its age, and what people said of it stay.';

-- What people say of queries. Each row seals the one before it; the tail says where a pipeline's chain ends.
CREATE TABLE haulier.query_tail (
    pipeline  text PRIMARY KEY,
    link      bigint NOT NULL CHECK (link >= 0),
    hash      bytea
);
COMMENT ON TABLE haulier.query_tail IS 'Where a pipeline''s chain of query events ends; its row is locked while one is added.';

CREATE TABLE haulier.query_event (
    event_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reject_id  bigint REFERENCES haulier.reject,
    flag_id    bigint REFERENCES haulier.flag,
    status     text NOT NULL CHECK (status IN ('answered', 'released', 'closed', 'reopened')),
    reason     text NOT NULL CHECK (reason ~ '\S'),
    actor      text NOT NULL CHECK (actor ~ '\S'),
    at         timestamptz NOT NULL,
    pipeline   text NOT NULL,
    link       bigint NOT NULL CHECK (link > 0),
    previous   bytea,
    hash       bytea NOT NULL,
    CHECK (num_nonnulls(reject_id, flag_id) = 1),
    CHECK ((link = 1) = (previous IS NULL)),
    UNIQUE (pipeline, link)
);
CREATE INDEX ON haulier.query_event (reject_id);
CREATE INDEX ON haulier.query_event (flag_id);
COMMENT ON TABLE haulier.query_event IS 'What people said of queries: who, when (UTC) and why. It changes no row of any target.';
COMMENT ON COLUMN haulier.query_event.reject_id IS 'The reject that the query began with; so is the flag.';

CREATE FUNCTION haulier.query_event_hash(one haulier.query_event) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(coalesce(one.previous, ''::bytea) || convert_to(jsonb_build_array(
        one.pipeline, one.link, one.reject_id, one.flag_id, one.status, one.reason, one.actor,
        to_char(one.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'))::text, 'UTF8'))
$$;

-- Whoever inserts says the query, the status, the reason and the actor; the time, the place in the chain and the hash are made here.
CREATE FUNCTION haulier.seal_query_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE tail haulier.query_tail;
BEGIN
    SELECT d.pipeline INTO STRICT NEW.pipeline
    FROM haulier.delivery d
    WHERE d.delivery_id = (SELECT r.delivery_id FROM haulier.reject r WHERE r.reject_id = NEW.reject_id
                           UNION ALL SELECT f.delivery_id FROM haulier.flag f WHERE f.flag_id = NEW.flag_id);
    INSERT INTO haulier.query_tail AS t (pipeline, link) VALUES (NEW.pipeline, 0)
    ON CONFLICT (pipeline) DO UPDATE SET link = t.link RETURNING t.* INTO tail;
    NEW.at := clock_timestamp();
    NEW.link := tail.link + 1;
    NEW.previous := tail.hash;
    NEW.hash := haulier.query_event_hash(NEW);
    UPDATE haulier.query_tail SET link = NEW.link, hash = NEW.hash WHERE pipeline = NEW.pipeline;
    RETURN NEW;
END $$;
CREATE TRIGGER sealed BEFORE INSERT ON haulier.query_event FOR EACH ROW EXECUTE FUNCTION haulier.seal_query_event();

CREATE FUNCTION haulier.forbid_shorter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.pipeline <> OLD.pipeline OR NEW.link < OLD.link THEN
        RAISE EXCEPTION 'the query events of % never become fewer', OLD.pipeline USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER never_shorter BEFORE UPDATE ON haulier.query_tail FOR EACH ROW EXECUTE FUNCTION haulier.forbid_shorter();
CREATE TRIGGER never_removed BEFORE DELETE OR TRUNCATE ON haulier.query_tail
    FOR EACH STATEMENT EXECUTE FUNCTION haulier.forbid_change();

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['flag_event', 'query_repeat', 'query_event']
    LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON haulier.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION haulier.forbid_change()', name);
    END LOOP;
END $$;

-- A load's flags, what it said of former ones, and what it found to be the same query belong to what its link seals. Links
-- from before seal none of it and are left as they are.
ALTER TABLE haulier.chain ADD COLUMN query_digest bytea;
COMMENT ON COLUMN haulier.chain.query_digest IS 'Of the flags of this load and its word on queries; null in links from before they were sealed.';

CREATE FUNCTION haulier.query_digest(the_load bigint) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(coalesce((SELECT string_agg(sha256(convert_to(jsonb_build_array(
            f.flag_id, f.delivery_id, f.row_number, f.output, f.rule, f.column_name, f.message, encode(f.line, 'hex'))::text, 'UTF8')),
            ''::bytea ORDER BY f.flag_id)
        FROM haulier.flag f WHERE f.load_id = the_load), ''::bytea)
     || coalesce((SELECT string_agg(sha256(convert_to(jsonb_build_array(e.flag_id, e.status, e.message)::text, 'UTF8')),
            ''::bytea ORDER BY e.flag_id)
        FROM haulier.flag_event e WHERE e.load_id = the_load), ''::bytea)
     || coalesce((SELECT string_agg(sha256(convert_to(jsonb_build_array(p.reject_id, p.flag_id, p.first_id)::text, 'UTF8')),
            ''::bytea ORDER BY p.reject_id, p.flag_id)
        FROM haulier.query_repeat p WHERE p.load_id = the_load), ''::bytea))
$$;

-- Its last arguments null: as links were made before.
CREATE FUNCTION haulier.link_hash(the_load bigint, previous bytea, history_digest bytea, reject_digest bytea, tombstone_digest bytea,
                                  query_digest bytea)
RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(coalesce(previous, ''::bytea) || history_digest || reject_digest || coalesce(tombstone_digest, ''::bytea)
      || coalesce(query_digest, ''::bytea) || convert_to(jsonb_build_array(
        l.load_id, l.kind, l.target, l.run_id, l.generation, l.replay_id, l.input_digest, l.manifest, l.definition_digest,
        l.outcome, l.exit_code, l.mode, l.actor, l.produced, l.inserted, l.updated, l.unchanged, l.superseded,
        l.duplicate, l.deleted, l.rejected, l.held, l.removed,
        (SELECT jsonb_agg(jsonb_build_array(a.delivery_id, a.read, a.accepted, a.filtered, a.rejected, a.stripped) ORDER BY a.delivery_id)
           FROM haulier.source_account a WHERE a.load_id = l.load_id))::text, 'UTF8'))
    FROM haulier.load l WHERE l.load_id = the_load
$$;
DROP FUNCTION haulier.link_hash(bigint, bytea, bytea, bytea, bytea);

-- A query is a reject or a flag with those that repeat it. What the last of them is decides: a load that settled it has the last
-- word, before that whoever spoke last; else it is open.
CREATE VIEW haulier.query AS
    WITH raised AS (
        SELECT 'reject'::text AS kind, r.reject_id AS raised_id, coalesce(p.first_id, r.reject_id) AS first_id,
               coalesce(began.load_id, r.load_id) AS first_load_id, r.load_id, r.delivery_id,
               r.row_number, r.output, r.step, r.rule, r.column_name, r.message, e.status AS settled, e.load_id AS settled_by,
               e.message AS settled_how, e.at AS settled_at, said.status AS said, said.at AS said_at, said.actor AS said_by,
               said.reason AS said_why
        FROM haulier.reject r
        LEFT JOIN haulier.query_repeat p ON p.reject_id = r.reject_id
        LEFT JOIN haulier.reject began ON began.reject_id = p.first_id
        LEFT JOIN haulier.reject_event e ON e.reject_id = r.reject_id AND e.status <> 'failed again'
        LEFT JOIN LATERAL (SELECT v.* FROM haulier.query_event v WHERE v.reject_id = coalesce(p.first_id, r.reject_id)
                           ORDER BY v.link DESC LIMIT 1) AS said ON true
        WHERE NOT EXISTS (SELECT FROM haulier.query_repeat n
                          WHERE n.first_id = coalesce(p.first_id, r.reject_id) AND n.reject_id > r.reject_id)
        UNION ALL
        SELECT 'flag', f.flag_id, coalesce(p.first_id, f.flag_id), coalesce(began.load_id, f.load_id), f.load_id, f.delivery_id,
               f.row_number, f.output, NULL, f.rule, f.column_name, f.message, e.status, e.load_id, e.message, e.at,
               said.status, said.at, said.actor, said.reason
        FROM haulier.flag f
        LEFT JOIN haulier.query_repeat p ON p.flag_id = f.flag_id
        LEFT JOIN haulier.flag began ON began.flag_id = p.first_id
        LEFT JOIN haulier.flag_event e ON e.flag_id = f.flag_id
        LEFT JOIN LATERAL (SELECT v.* FROM haulier.query_event v WHERE v.flag_id = coalesce(p.first_id, f.flag_id)
                           ORDER BY v.link DESC LIMIT 1) AS said ON true
        WHERE NOT EXISTS (SELECT FROM haulier.query_repeat n
                          WHERE n.first_id = coalesce(p.first_id, f.flag_id) AND n.flag_id > f.flag_id)
    ), owner AS (
        -- Who answers now, also for what was raised under somebody else.
        SELECT DISTINCT ON (u.pipeline) u.pipeline, l.owner
        FROM haulier.load l JOIN haulier.run u USING (run_id)
        WHERE l.owner IS NOT NULL
        ORDER BY u.pipeline, l.load_id DESC
    )
    SELECT CASE q.kind WHEN 'reject' THEN 'R' ELSE 'F' END || q.first_id AS query, q.kind, q.first_id, q.raised_id,
           d.pipeline, d.instance, l.target, d.logical_name AS file, d.sequence, q.delivery_id, q.row_number AS row, q.output, q.step,
           q.rule, q.column_name, q.message, coalesce(o.owner, '') AS owner, q.load_id, l.run_id, l.generation, l.replay_id,
           began.loaded_at AS opened_at,
           CASE WHEN q.settled = 'corrected' OR q.settled = 'regenerated' AND EXISTS (
                         -- A run that is made again because its file was sent again.
                         SELECT FROM haulier.load s
                         JOIN haulier.generation_delivery g ON g.run_id = s.run_id AND g.generation = s.generation
                         JOIN haulier.delivery n ON n.delivery_id = g.delivery_id
                         WHERE s.load_id = q.settled_by AND n.logical_name = d.logical_name AND n.sequence > d.sequence)
                    THEN 'corrected'
                WHEN q.settled IS NOT NULL THEN 'closed'
                WHEN q.said IS NULL OR q.said = 'reopened' THEN 'open'
                ELSE q.said END AS status,
           coalesce(q.settled_at, q.said_at, began.loaded_at) AS status_at,
           CASE WHEN q.settled IS NULL THEN q.said_by ELSE settling.actor END AS actor,
           CASE WHEN q.settled IS NULL THEN q.said_why
                ELSE concat_ws(': ', q.settled, coalesce(asked.reason, nullif(q.settled_how, ''))) END AS reason,
           q.settled_by
    FROM raised q
    JOIN haulier.load l ON l.load_id = q.load_id
    JOIN haulier.load began ON began.load_id = q.first_load_id
    JOIN haulier.delivery d ON d.delivery_id = q.delivery_id
    LEFT JOIN haulier.load settling ON settling.load_id = q.settled_by
    LEFT JOIN haulier.replay asked ON asked.replay_id = settling.replay_id
    LEFT JOIN owner o ON o.pipeline = d.pipeline;
COMMENT ON VIEW haulier.query IS 'Every query, and how it stands: open, answered, released, corrected or closed.';
