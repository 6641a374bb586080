-- Whether a reject still waits for somebody, said once for all who count them.
CREATE VIEW haulier.waiting_reject AS
    SELECT o.* FROM haulier.open_reject o
    WHERE NOT EXISTS (SELECT FROM haulier.query said WHERE said.kind = 'reject' AND said.raised_id = o.reject_id
                      AND said.status IN ('released', 'closed'));
COMMENT ON VIEW haulier.waiting_reject IS 'Rejects that no load has settled and nobody has released or closed.';
