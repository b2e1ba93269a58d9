-- depends: 0005.pending-executions

-- Exact totals, and pages that cost the same at any depth (design, "Listing"): executions counted by range of
-- ids. The total is the sum of the counts; the range in which a page begins is found from their running sums,
-- and only within that range are executions skipped.
--
-- A range, or bucket, is 4096 ids (id >> 12, which rounds down below 0 too): ten million executions are 2,500
-- counts to sum up, and at most 2,048 index entries are skipped, from whichever end of the range is nearer. Ids
-- rise, so a range is left behind after 4096 of them. That bounds what a long snapshot costs (a dump, a stream):
-- while it lasts, no version of a count can be removed, and each update passes them all.
--
-- A count is locked until its writer has committed. So each range has one for each backend that writes into it:
-- its slot is the backend's process id, and no writer waits for another one. Once writers have moved on, a range's
-- slots are settled into slot 0, past those that are locked. Only the sum over the slots of a range means
-- something: one alone may be negative.

CREATE TABLE IF NOT EXISTS execution_count (
    bucket integer,
    slot   integer,
    count  integer NOT NULL,
    PRIMARY KEY (bucket, slot)
) WITH (fillfactor = 50); -- new versions of a count find room beside it, and the index is left alone

COMMENT ON TABLE execution_count IS
    'How many rows execution has, by range of 4096 ids: the sum over a bucket''s slots. Kept by triggers; recount_executions() makes it anew.';
COMMENT ON COLUMN execution_count.bucket IS
    'The range: id >> 12.';
COMMENT ON COLUMN execution_count.slot IS
    '0: settled. Else the process id of the backend that added or took away so many since.';

-- The triggers count for every writer, such as the Go implementation: whatever its role may do and its search
-- path is. pg_temp comes last, so that no table of the writer's own can stand in for ours.
DO $$
BEGIN
    PERFORM set_config('search_path', current_setting('search_path') || ', pg_temp', true);
END
$$;

CREATE OR REPLACE FUNCTION count_new_executions() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    INSERT INTO execution_count AS c (bucket, slot, count)
    SELECT id >> 12, pg_backend_pid(), count(*) FROM new_executions GROUP BY 1 ORDER BY 1
    ON CONFLICT (bucket, slot) DO UPDATE SET count = c.count + excluded.count;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION count_new_executions() IS
    'Counts the executions that a statement inserted.';

CREATE OR REPLACE FUNCTION count_deleted_executions() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    INSERT INTO execution_count AS c (bucket, slot, count)
    SELECT id >> 12, pg_backend_pid(), -count(*) FROM deleted_executions GROUP BY 1 ORDER BY 1
    ON CONFLICT (bucket, slot) DO UPDATE SET count = c.count + excluded.count;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION count_deleted_executions() IS
    'Takes the executions that a statement deleted from their counts.';

CREATE OR REPLACE FUNCTION count_renumbered_execution() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    INSERT INTO execution_count AS c (bucket, slot, count)
    SELECT moved.id >> 12, pg_backend_pid(), sum(moved.change)
    FROM (VALUES (OLD.id, -1), (NEW.id, 1)) AS moved (id, change)
    GROUP BY 1
    HAVING sum(moved.change) <> 0
    ORDER BY 1
    ON CONFLICT (bucket, slot) DO UPDATE SET count = c.count + excluded.count;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION count_renumbered_execution() IS
    'Counts an execution in the range of its new id.';

CREATE OR REPLACE FUNCTION count_no_executions() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    DELETE FROM execution_count; -- truncating it could wait in a circle with a page that has read it already
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION count_no_executions() IS
    'Forgets the counts when execution is truncated.';

CREATE OR REPLACE FUNCTION settle_execution_counts() RETURNS trigger
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    -- One at a time, for slot 0 is theirs alone. (Other keys: window_lock_key(), queue_lock_key().) Above READ
    -- COMMITTED, a count that somebody else has changed meanwhile would fail the writer's statement.
    IF current_setting('transaction_isolation') = 'read committed' AND pg_try_advisory_xact_lock(8089004) THEN
        WITH idle AS MATERIALIZED (
            SELECT bucket, slot FROM execution_count
            WHERE bucket < NEW.bucket - 1 AND slot > 0
            FOR UPDATE SKIP LOCKED
        ), settled AS (
            DELETE FROM execution_count AS c USING idle
            WHERE c.bucket = idle.bucket AND c.slot = idle.slot
            RETURNING c.bucket, c.count
        )
        INSERT INTO execution_count AS c (bucket, slot, count)
        SELECT bucket, 0, sum(count) FROM settled GROUP BY bucket
        ON CONFLICT (bucket, slot) DO UPDATE SET count = c.count + excluded.count;
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION settle_execution_counts() IS
    'Called when writers reach a new range: brings each range that they have left into one row, unless it is in use.';

-- A trigger function can do as its owner does: nobody else may put it on a table of his own.
REVOKE ALL ON FUNCTION
    count_new_executions(), count_deleted_executions(), count_renumbered_execution(), count_no_executions()
FROM PUBLIC;

CREATE OR REPLACE FUNCTION recount_executions() RETURNS bigint
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'recount_executions must run in READ COMMITTED, not in %',
            upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'GA001';
    END IF;
    LOCK TABLE execution IN SHARE ROW EXCLUSIVE MODE; -- the statements below see all that was written before it
    DELETE FROM execution_count;
    INSERT INTO execution_count (bucket, slot, count)
    SELECT id >> 12, 0, count(*) FROM execution GROUP BY 1;
    RETURN (SELECT coalesce(sum(count), 0) FROM execution_count);
END
$$;

COMMENT ON FUNCTION recount_executions() IS
    'Counts all executions anew and returns how many there are, while writers wait: some 0.2 s for each million. To be called after rows were loaded or deleted with triggers disabled, or data alone was restored into tables that were there.';

CREATE OR REPLACE FUNCTION page_of_executions(page_limit bigint, page_offset bigint) RETURNS TABLE (
    total                   bigint,
    id                      integer,
    execution_service_id    integer,
    is_open                 boolean,
    execution_status        varchar,
    trade_type              varchar,
    destination             varchar,
    trade_date              date,
    security_id             bpchar,
    ticker                  varchar,
    portfolio_id            bpchar,
    quantity                numeric,
    limit_price             numeric,
    received_timestamp      timestamptz,
    sent_timestamp          timestamptz,
    last_fill_timestamp     timestamptz,
    quantity_filled         numeric,
    total_amount            numeric,
    average_price           numeric,
    ready_to_send_timestamp timestamptz,
    version                 integer
)
-- STABLE: all its statements see the moment at which its caller's began, so that total and page are of one.
LANGUAGE plpgsql STABLE
-- Index scans alone, also by plans that were made when the tables were small; see 0003. The plans do not depend on
-- the arguments, whose unknown values must not make one look long enough to be compiled.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    block_of_page  integer; -- 64 buckets
    bucket_of_page integer;
    newer          bigint;  -- how many executions are above them
    with_it        bigint;  -- and how many with that bucket's own
    newest_id      integer;
BEGIN
    -- In two steps, for running sums over all buckets would cost five times as much as their total.
    WITH counted AS (
        SELECT c.bucket >> 6 AS block, sum(c.count)::integer AS held FROM execution_count AS c GROUP BY 1
    ), summed AS (
        SELECT block, held, sum(held) OVER (ORDER BY block DESC) AS through FROM counted
    )
    SELECT coalesce(sum(held), 0),
           max(block) FILTER (WHERE through > page_offset),
           coalesce(max(through) FILTER (WHERE through <= page_offset), 0)
    INTO total, block_of_page, newer
    FROM summed;

    WITH counted AS (
        SELECT c.bucket, sum(c.count)::integer AS held FROM execution_count AS c
        WHERE c.bucket BETWEEN block_of_page << 6 AND (block_of_page << 6) | 63
        GROUP BY c.bucket
    ), summed AS (
        SELECT bucket, newer + sum(held) OVER (ORDER BY bucket DESC) AS through FROM counted
    )
    SELECT max(bucket) FILTER (WHERE through > page_offset),
           greatest(newer, max(through) FILTER (WHERE through <= page_offset)),
           min(through) FILTER (WHERE through > page_offset)
    INTO bucket_of_page, newer, with_it
    FROM summed;

    IF page_offset - newer < (with_it - newer) / 2 THEN
        SELECT e.id INTO newest_id FROM execution AS e
        WHERE e.id <= (bucket_of_page << 12) | 4095
        ORDER BY e.id DESC OFFSET page_offset - newer LIMIT 1;
    ELSE
        SELECT e.id INTO newest_id FROM execution AS e
        WHERE e.id >= bucket_of_page << 12
        ORDER BY e.id OFFSET with_it - 1 - page_offset LIMIT 1;
    END IF;

    RETURN QUERY
    SELECT total, e.id, e.execution_service_id, e.is_open, e.execution_status, e.trade_type, e.destination,
           e.trade_date, e.security_id, e.ticker, e.portfolio_id, e.quantity, e.limit_price,
           e.received_timestamp, e.sent_timestamp, e.last_fill_timestamp, e.quantity_filled, e.total_amount,
           e.average_price, e.ready_to_send_timestamp, e.version
    FROM execution AS e
    WHERE e.id <= newest_id
    ORDER BY e.id DESC
    LIMIT page_limit;
    IF NOT FOUND THEN
        RETURN NEXT; -- the total and nothing else
    END IF;
END
$$;

COMMENT ON FUNCTION page_of_executions IS
    'Up to page_limit executions by descending id, without the first page_offset of them; in each row, how many there are in all. Behind the end: one row with the total, and nulls.';

-- Writers wait from here on until we have committed, readers do not. (DROP TRIGGER would keep them out too.)
LOCK TABLE execution IN SHARE ROW EXCLUSIVE MODE;

CREATE OR REPLACE TRIGGER execution_count_new AFTER INSERT ON execution
    REFERENCING NEW TABLE AS new_executions
    FOR EACH STATEMENT EXECUTE FUNCTION count_new_executions();
CREATE OR REPLACE TRIGGER execution_count_deleted AFTER DELETE ON execution
    REFERENCING OLD TABLE AS deleted_executions
    FOR EACH STATEMENT EXECUTE FUNCTION count_deleted_executions();
CREATE OR REPLACE TRIGGER execution_count_renumbered AFTER UPDATE ON execution
    FOR EACH ROW WHEN (OLD.id IS DISTINCT FROM NEW.id) EXECUTE FUNCTION count_renumbered_execution();
CREATE OR REPLACE TRIGGER execution_count_truncated AFTER TRUNCATE ON execution
    FOR EACH STATEMENT EXECUTE FUNCTION count_no_executions();
CREATE OR REPLACE TRIGGER execution_count_settle AFTER INSERT ON execution_count
    FOR EACH ROW WHEN (NEW.slot > 0) EXECUTE FUNCTION settle_execution_counts();

DO $$
BEGIN
    PERFORM recount_executions();
END
$$;
