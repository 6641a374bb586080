-- A load's deletions belong to what its link seals. A newer deletion of a key takes the place of the former one, which
-- is kept here, so that what a load buried can be told for ever. Links from before seal none and are left as they are.
CREATE TABLE haulier.former_tombstone (LIKE haulier.tombstone INCLUDING COMMENTS);
CREATE INDEX ON haulier.former_tombstone (load_id);
ALTER TABLE haulier.former_tombstone ADD FOREIGN KEY (load_id) REFERENCES haulier.load,
    ADD FOREIGN KEY (delivery_id) REFERENCES haulier.delivery;
COMMENT ON TABLE haulier.former_tombstone IS 'Deletions that a newer one of the same key took the place of.';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON haulier.former_tombstone
    FOR EACH STATEMENT EXECUTE FUNCTION haulier.forbid_change();

ALTER TABLE haulier.chain ADD COLUMN tombstone_digest bytea;
COMMENT ON COLUMN haulier.chain.tombstone_digest IS 'Of the deletions of this load; null in links from before they were sealed.';

CREATE FUNCTION haulier.tombstone_digest(the_load bigint) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(coalesce(string_agg(one.digest, ''::bytea ORDER BY one.digest), ''::bytea))
    FROM (SELECT sha256(convert_to(jsonb_build_array(k.target, k.key, k.load_id, k.delivery_id, k.row_number, k.sequence,
                     k.generation, to_char(k.ordered AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), k.ordering)::text, 'UTF8')) AS digest
          FROM (SELECT * FROM haulier.tombstone WHERE load_id = the_load
                UNION ALL SELECT * FROM haulier.former_tombstone WHERE load_id = the_load) AS k) AS one
$$;

-- Its last argument null: as links were made before.
CREATE FUNCTION haulier.link_hash(the_load bigint, previous bytea, history_digest bytea, reject_digest bytea, tombstone_digest bytea)
RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(coalesce(previous, ''::bytea) || history_digest || reject_digest || coalesce(tombstone_digest, ''::bytea)
      || convert_to(jsonb_build_array(
        l.load_id, l.kind, l.target, l.run_id, l.generation, l.replay_id, l.input_digest, l.manifest, l.definition_digest,
        l.outcome, l.exit_code, l.mode, l.actor, l.produced, l.inserted, l.updated, l.unchanged, l.superseded,
        l.duplicate, l.deleted, l.rejected, l.held, l.removed,
        (SELECT jsonb_agg(jsonb_build_array(a.delivery_id, a.read, a.accepted, a.filtered, a.rejected, a.stripped) ORDER BY a.delivery_id)
           FROM haulier.source_account a WHERE a.load_id = l.load_id))::text, 'UTF8'))
    FROM haulier.load l WHERE l.load_id = the_load
$$;
DROP FUNCTION haulier.link_hash(bigint, bytea, bytea, bytea);
