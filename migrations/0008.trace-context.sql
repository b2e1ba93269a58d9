-- depends: 0007.outstanding-work

-- Of which trace a batch is part: whoever carries it on, now or after a restart, continues its sender's trace.

ALTER TABLE batch_claim
    ADD COLUMN IF NOT EXISTS trace_parent text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS trace_state  text NOT NULL DEFAULT '';

ALTER TABLE delivery
    ADD COLUMN IF NOT EXISTS trace_parent text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS trace_state  text NOT NULL DEFAULT '';

COMMENT ON COLUMN batch_claim.trace_parent IS
    'The W3C traceparent of the request that asked for the batch; empty: it belongs to no trace.';
COMMENT ON COLUMN batch_claim.trace_state IS
    'The W3C tracestate that goes with it.';
COMMENT ON COLUMN delivery.trace_parent IS
    'The W3C traceparent of the request that asked for the batch or the resend; empty: it belongs to no trace.';
COMMENT ON COLUMN delivery.trace_state IS
    'The W3C tracestate that goes with it.';

-- VOLATILE plpgsql in READ COMMITTED, as claim_window: the second statement sees what the first one inserted.
CREATE OR REPLACE FUNCTION claim_traced_window(
    last_start          timestamptz,
    file_quantity       text,
    file_format_version integer,
    lane_count          integer,
    file_max_records    integer,
    requested_by        text,
    lease_holder        text,
    lease_time          interval,
    trace_parent        text,
    trace_state         text
) RETURNS TABLE (id integer, previous_start_time timestamptz, start_time timestamptz, lease_token bigint)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    batch record;
BEGIN
    SELECT w.* INTO STRICT batch
      FROM claim_window(
           last_start, file_quantity, file_format_version, lane_count, file_max_records, requested_by,
           lease_holder, lease_time
           ) AS w;
    IF claim_traced_window.trace_parent <> '' THEN
        UPDATE batch_claim AS c
           SET trace_parent = claim_traced_window.trace_parent,
               trace_state = claim_traced_window.trace_state
         WHERE c.batch_id = batch.id;
    END IF;
    RETURN QUERY SELECT batch.id, batch.previous_start_time, batch.start_time, batch.lease_token;
END
$$;

COMMENT ON FUNCTION claim_traced_window IS
    'Claims the window from last_start up to now (see claim_window) as a part of a trace.';
