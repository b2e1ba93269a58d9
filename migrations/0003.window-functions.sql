-- depends: 0002.batch-claim-and-delivery

-- The window protocol (design, "Windows"), each half in one round trip.
--
-- Both functions must be VOLATILE plpgsql and run in READ COMMITTED: only then has each of their statements a
-- snapshot of its own, taken after the lock was granted. In one statement with the lock, in a STABLE function, or
-- at a higher isolation level, the snapshot would be older than the wait for the lock, and executions would be
-- lost between two windows. The last they check; the rest must stay as it is.
--
-- They wait for the lock as long as the session's lock_timeout lets them, and hold it until the caller's
-- transaction ends: lock_timeout (2 s) and idle_in_transaction_session_timeout (5 s) belong to the connection and
-- are set by the adapter. Call each as the only statement of its transaction.
--
-- They look rows up by index alone. A session keeps the plans that it made when the tables were small; without
-- these settings it would go on reading the whole table, lock in hand, until the next ANALYZE (2 s for each
-- call at a million rows).
--
-- SQLSTATEs of ours: GA001 not READ COMMITTED; GA002 batch_history is empty; GA003 not where a window may begin.

CREATE OR REPLACE FUNCTION window_lock_key() RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT 8089001::bigint $$;

COMMENT ON FUNCTION window_lock_key() IS
    'The advisory lock of the window protocol: shared while executions are kept, exclusive while a window is claimed. (8089002 guards the migrations.)';

CREATE OR REPLACE FUNCTION keep_executions(
    execution_service_ids integer[],
    are_open              boolean[],
    execution_statuses    text[],
    trade_types           text[],
    destinations          text[],
    trade_dates           date[],
    security_ids          text[],
    tickers               text[],
    portfolio_ids         text[],
    quantities            numeric[],
    limit_prices          numeric[],
    received_timestamps   timestamptz[],
    sent_timestamps       timestamptz[],
    last_fill_timestamps  timestamptz[],
    quantities_filled     numeric[],
    total_amounts         numeric[],
    average_prices        numeric[]
) RETURNS TABLE (execution_service_id integer, id integer, is_new boolean)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    row_count CONSTANT integer := cardinality(execution_service_ids);
    sequence_name      regclass;
    last_start         timestamptz;
    stamp              timestamptz;
    new_ids            integer[];
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'keep_executions must run in READ COMMITTED, not in %',
            upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'GA001';
    END IF;
    -- unnest would fill a short array up with nulls: a limit price lost without a word.
    IF NOT coalesce(row_count = ALL (ARRAY[
        cardinality(are_open), cardinality(execution_statuses), cardinality(trade_types),
        cardinality(destinations), cardinality(trade_dates), cardinality(security_ids), cardinality(tickers),
        cardinality(portfolio_ids), cardinality(quantities), cardinality(limit_prices),
        cardinality(received_timestamps), cardinality(sent_timestamps), cardinality(last_fill_timestamps),
        cardinality(quantities_filled), cardinality(total_amounts), cardinality(average_prices)
    ]), false) THEN
        RAISE EXCEPTION 'keep_executions needs arrays of one length'
            USING ERRCODE = 'array_subscript_error';
    END IF;

    PERFORM pg_advisory_xact_lock_shared(window_lock_key());

    -- From here on no window can be claimed until we have committed.
    SELECT max(b.start_time) INTO last_start FROM batch_history AS b;
    IF last_start IS NULL THEN
        RAISE EXCEPTION 'batch_history is empty: the migrations make its first row'
            USING ERRCODE = 'GA002';
    END IF;
    stamp := greatest(clock_timestamp(), last_start);

    -- Ids are drawn here, in the order of the request, and for unknown executions only: repeats use up none.
    -- The rows go in by execution_service_id, the same way round for everybody: two callers who keep some of
    -- the same executions at once wait for each other at most, and never in a circle.
    sequence_name := coalesce(pg_get_serial_sequence('execution', 'id'), 'execution_id_seq');
    WITH given AS (
        SELECT * FROM unnest(
            execution_service_ids, are_open, execution_statuses, trade_types, destinations, trade_dates,
            security_ids, tickers, portfolio_ids, quantities, limit_prices, received_timestamps,
            sent_timestamps, last_fill_timestamps, quantities_filled, total_amounts, average_prices
        ) WITH ORDINALITY AS g (
            execution_service_id, is_open, execution_status, trade_type, destination, trade_date,
            security_id, ticker, portfolio_id, quantity, limit_price, received_timestamp,
            sent_timestamp, last_fill_timestamp, quantity_filled, total_amount, average_price, place
        )
    ), unknown AS (
        SELECT given.* FROM given
        WHERE NOT EXISTS (
            SELECT FROM execution AS e WHERE e.execution_service_id = given.execution_service_id
        )
        ORDER BY given.place
    ), numbered AS MATERIALIZED (
        SELECT nextval(sequence_name) AS id, unknown.* FROM unknown
    ), kept AS (
        INSERT INTO execution (
            id, execution_service_id, is_open, execution_status, trade_type, destination, trade_date,
            security_id, ticker, portfolio_id, quantity, limit_price, received_timestamp, sent_timestamp,
            last_fill_timestamp, quantity_filled, total_amount, average_price, ready_to_send_timestamp, version
        )
        SELECT
            n.id, n.execution_service_id, n.is_open, n.execution_status, n.trade_type, n.destination, n.trade_date,
            n.security_id, n.ticker, n.portfolio_id, n.quantity, n.limit_price, n.received_timestamp,
            n.sent_timestamp, n.last_fill_timestamp, n.quantity_filled, n.total_amount, n.average_price, stamp, 1
        FROM numbered AS n
        ORDER BY n.execution_service_id
        ON CONFLICT (execution_service_id) DO NOTHING
        RETURNING execution.id
    )
    SELECT coalesce(array_agg(kept.id), '{}') INTO new_ids FROM kept;

    -- A statement of its own, for its snapshot: it sees the row of a caller who was faster, and for whose
    -- commit the insert waited.
    RETURN QUERY
    SELECT e.execution_service_id, e.id, e.id = ANY (new_ids)
    FROM execution AS e
    WHERE e.execution_service_id = ANY (execution_service_ids);
END
$$;

COMMENT ON FUNCTION keep_executions IS
    'Keeps the executions whose execution_service_id is not known yet, stamped so that each falls into exactly one batch window, and answers for every one given, in no special order: its id, and whether it is new.';

CREATE OR REPLACE FUNCTION claim_batch(
    last_start          timestamptz,
    file_quantity       text,
    file_format_version integer,
    lane_count          integer,
    requested_by        text
) RETURNS TABLE (id integer, previous_start_time timestamptz, start_time timestamptz)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    tick CONSTANT interval := INTERVAL '1 microsecond';
    newest_start       timestamptz;
    newest_ready       timestamptz;
    batch              batch_history;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'claim_batch must run in READ COMMITTED, not in %',
            upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'GA001';
    END IF;

    PERFORM pg_advisory_xact_lock(window_lock_key());

    -- From here on no execution can be kept until we have committed; all kept before are committed and seen.
    SELECT max(b.start_time) INTO newest_start FROM batch_history AS b;
    IF newest_start IS NULL THEN
        RAISE EXCEPTION 'batch_history is empty: the migrations make its first row'
            USING ERRCODE = 'GA002';
    END IF;
    -- Behind the newest start, the insert below collides with the batch that began where we want to begin. Were
    -- there none (rows taken out by hand), the windows of two batches would overlap: nobody may begin there.
    IF last_start IS DISTINCT FROM newest_start AND NOT EXISTS (
        SELECT FROM batch_history AS b WHERE b.previous_start_time = last_start
    ) THEN
        RAISE EXCEPTION 'no window begins at %: the newest batch started at %', last_start, newest_start
            USING ERRCODE = 'GA003';
    END IF;
    -- One step into the index: rows without a stamp are in no window, nor are those that are never ready.
    SELECT max(e.ready_to_send_timestamp) INTO newest_ready
    FROM execution AS e
    WHERE e.ready_to_send_timestamp < 'infinity';

    -- greatest() passes over a null: there may be no execution yet.
    INSERT INTO batch_history AS b (start_time, previous_start_time)
    VALUES (greatest(clock_timestamp(), last_start + tick, newest_ready + tick), last_start)
    RETURNING b.* INTO batch;
    INSERT INTO batch_claim (batch_id, file_quantity, file_format_version, lane_count, requested_by)
    VALUES (
        batch.id, claim_batch.file_quantity, claim_batch.file_format_version, claim_batch.lane_count,
        claim_batch.requested_by
    );
    RETURN QUERY SELECT batch.id, batch.previous_start_time, batch.start_time;
END
$$;

COMMENT ON FUNCTION claim_batch IS
    'Claims the window from last_start up to now, with every execution kept so far, under the given terms. Two callers with the same last_start collide: SQLSTATE 23505 on batch_history.';
