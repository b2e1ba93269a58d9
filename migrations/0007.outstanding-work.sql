-- depends: 0006.execution-count

-- What is not at its end yet, asked in one round trip that costs the same however much was sent already.

-- Ended without success, and neither resolved nor sent again. Few of very many.
CREATE INDEX IF NOT EXISTS delivery_unresolved_ndx
    ON delivery (ended_timestamp) WHERE status IN ('partial', 'failed');

-- For the counts, and for the one that waits longest.
CREATE INDEX IF NOT EXISTS pending_execution_status_deferred_timestamp_ndx
    ON pending_execution (status, deferred_timestamp);

CREATE OR REPLACE FUNCTION outstanding_work(most integer) RETURNS TABLE (
    kind    text,
    count   bigint,
    oldest  timestamptz,
    records bigint
)
-- STABLE: all its statements see the moment at which its caller's began.
LANGUAGE plpgsql STABLE
-- Index scans alone, also by plans that were made when the tables were small; see 0003.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    last_start timestamptz;
BEGIN
    SELECT max(b.start_time) INTO last_start FROM batch_history AS b;

    RETURN QUERY
    SELECT 'executions', count(*), min(waiting.since), NULL::bigint
      FROM (
           SELECT e.ready_to_send_timestamp AS since FROM execution AS e
            WHERE e.ready_to_send_timestamp >= last_start
            ORDER BY e.ready_to_send_timestamp LIMIT most
           ) AS waiting;

    RETURN QUERY
    SELECT given.status, counted.count, counted.oldest, NULL::bigint
      FROM (VALUES ('pending'), ('error')) AS given (status),
           LATERAL (
               SELECT count(*) AS count, min(waiting.since) AS oldest
                 FROM (
                      SELECT p.deferred_timestamp AS since FROM pending_execution AS p
                       WHERE p.status = given.status
                       ORDER BY p.deferred_timestamp LIMIT most
                      ) AS waiting
           ) AS counted;

    RETURN QUERY
    SELECT 'batches', count(*), min(waiting.since), NULL::bigint
      FROM (
           SELECT c.claimed_timestamp AS since FROM batch_claim AS c
            WHERE c.prepared_timestamp IS NULL
            ORDER BY c.queue_number LIMIT most
           ) AS waiting;

    RETURN QUERY
    SELECT d.status, count(*), min(d.since), sum(d.record_count)::bigint
      FROM (
           SELECT o.status, o.claimed_timestamp AS since, o.record_count FROM delivery AS o
            WHERE o.status IN ('claimed', 'written', 'delivering')
            ORDER BY o.queue_number, o.part, o.lane LIMIT most
           ) AS d
     GROUP BY d.status;

    RETURN QUERY
    SELECT d.status, count(*), min(d.since), sum(d.open_records)::bigint
      FROM (
           SELECT u.status, u.ended_timestamp AS since,
                  coalesce(u.rejected_count, 0) + coalesce(u.unknown_count, 0) AS open_records
             FROM delivery AS u
            WHERE u.status IN ('partial', 'failed')
            ORDER BY u.ended_timestamp LIMIT most
           ) AS d
     GROUP BY d.status;

    RETURN QUERY
    SELECT 'stop', count(*), min(s.stopped_timestamp), NULL::bigint
      FROM delivery_stop AS s
     WHERE s.cleared_timestamp IS NULL;
END
$$;

COMMENT ON FUNCTION outstanding_work IS
    'What is not at its end, by kind: how many (most, where there are more), and since when the first of them waits. Executions in no window yet; pending ones, and those in error; batches whose files are not all written; deliveries by status, with the executions in them, or in failed and partial ones the records to be looked at; the stop of all delivery.';
