-- A load's times, who asked for it and why, who approved its definition, and the files that it read belong to what its link seals,
-- as the trail tells them with every change. Links from before seal none of it and are left as they are.
ALTER TABLE haulier.chain ADD COLUMN origin_digest bytea;
COMMENT ON COLUMN haulier.chain.origin_digest IS 'Of when, by whom, why and from which files this load was; null in links from before that was sealed.';

-- Times as seconds, which no session's zone changes.
CREATE FUNCTION haulier.origin_digest(the_load bigint) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(jsonb_build_array(
        extract(epoch FROM l.started_at), extract(epoch FROM l.loaded_at), l.attempt_id, l.fence, l.vanished, l.owner, l.versions,
        r.pipeline, r.instance, extract(epoch FROM r.interval_start), extract(epoch FROM r.interval_end),
        g.definition_digest, g.reason, g.actor, extract(epoch FROM g.opened_at),
        p.definition_digest, p.reason, p.actor, extract(epoch FROM p.requested_at),
        (SELECT jsonb_agg(jsonb_build_array(d.delivery_id, d.logical_name, d.sequence, d.sha256, d.bytes, d.uri, d.original,
                     extract(epoch FROM d.modified_at), extract(epoch FROM d.seen_at)) ORDER BY d.delivery_id)
           FROM haulier.generation_delivery o JOIN haulier.delivery d USING (delivery_id)
          WHERE o.run_id = l.run_id AND o.generation = l.generation),
        (SELECT jsonb_agg(DISTINCT extract(epoch FROM e.at)) FROM haulier.reject_event e WHERE e.load_id = the_load),
        (SELECT jsonb_agg(DISTINCT extract(epoch FROM e.at)) FROM haulier.flag_event e WHERE e.load_id = the_load))::text, 'UTF8'))
    FROM haulier.load l
    JOIN haulier.run r USING (run_id)
    JOIN haulier.generation g ON g.run_id = l.run_id AND g.generation = l.generation
    LEFT JOIN haulier.replay p ON p.replay_id = l.replay_id
    WHERE l.load_id = the_load
$$;

-- Its last arguments null: as links were made before.
CREATE FUNCTION haulier.link_hash(the_load bigint, previous bytea, history_digest bytea, reject_digest bytea, tombstone_digest bytea,
                                  query_digest bytea, origin_digest bytea)
RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(coalesce(previous, ''::bytea) || history_digest || reject_digest || coalesce(tombstone_digest, ''::bytea)
      || coalesce(query_digest, ''::bytea) || coalesce(origin_digest, ''::bytea) || convert_to(jsonb_build_array(
        l.load_id, l.kind, l.target, l.run_id, l.generation, l.replay_id, l.input_digest, l.manifest, l.definition_digest,
        l.outcome, l.exit_code, l.mode, l.actor, l.produced, l.inserted, l.updated, l.unchanged, l.superseded,
        l.duplicate, l.deleted, l.rejected, l.held, l.removed,
        (SELECT jsonb_agg(jsonb_build_array(a.delivery_id, a.read, a.accepted, a.filtered, a.rejected, a.stripped) ORDER BY a.delivery_id)
           FROM haulier.source_account a WHERE a.load_id = l.load_id))::text, 'UTF8'))
    FROM haulier.load l WHERE l.load_id = the_load
$$;
DROP FUNCTION haulier.link_hash(bigint, bytea, bytea, bytea, bytea, bytea);
