-- What is still under way goes on outside of its sender's trace.

DROP FUNCTION IF EXISTS claim_traced_window;
ALTER TABLE delivery
    DROP COLUMN IF EXISTS trace_parent,
    DROP COLUMN IF EXISTS trace_state;
ALTER TABLE batch_claim
    DROP COLUMN IF EXISTS trace_parent,
    DROP COLUMN IF EXISTS trace_state;
