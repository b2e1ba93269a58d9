-- depends: 0003.window-functions

-- Deliveries as a queue that replicas work through together, under leases (design, "Delivery" and "Lanes").
--
-- A replica of the version before may still run while this is applied, and after it. What such a one writes
-- is brought into the new form by the trigger adopt_delivery, and so are the rows that it left behind.

-- In the order in which the statements of such a replica take them: nobody waits in a circle.
LOCK TABLE delivery, batch_claim IN ACCESS EXCLUSIVE MODE;

CREATE SEQUENCE IF NOT EXISTS delivery_queue_number;
CREATE SEQUENCE IF NOT EXISTS lease_token;

COMMENT ON SEQUENCE delivery_queue_number IS
    'Places in the queue of deliveries: one for each batch, drawn under the window lock and so in the order of the windows, and one for each resend.';
COMMENT ON SEQUENCE lease_token IS
    'Fencing tokens of leases on batches and deliveries.';

-- Batches whose files are to be written.

ALTER TABLE batch_claim
    -- The version before made one file of a window, however long.
    ADD COLUMN IF NOT EXISTS file_max_records   integer NOT NULL DEFAULT 2147483647
                                                CHECK (file_max_records > 0),
    ADD COLUMN IF NOT EXISTS queue_number       bigint,
    ADD COLUMN IF NOT EXISTS prepared_timestamp timestamptz,
    ADD COLUMN IF NOT EXISTS not_before         timestamptz,
    ADD COLUMN IF NOT EXISTS lease_holder       text,
    ADD COLUMN IF NOT EXISTS lease_until        timestamptz,
    ADD COLUMN IF NOT EXISTS lease_token        bigint NOT NULL DEFAULT 0;

UPDATE batch_claim AS c
   SET queue_number = numbered.queue_number
  FROM (
       SELECT waiting.batch_id, nextval('delivery_queue_number') AS queue_number
         FROM (SELECT batch_id FROM batch_claim WHERE queue_number IS NULL ORDER BY batch_id) AS waiting
       ) AS numbered
 WHERE c.batch_id = numbered.batch_id;

ALTER TABLE batch_claim
    ALTER COLUMN queue_number SET DEFAULT nextval('delivery_queue_number'),
    ALTER COLUMN queue_number SET NOT NULL;

COMMENT ON COLUMN batch_claim.file_max_records IS
    'Executions in one file at most; a longer window becomes several parts.';
COMMENT ON COLUMN batch_claim.queue_number IS
    'Its deliveries'' place in the queue.';
COMMENT ON COLUMN batch_claim.prepared_timestamp IS
    'When all its files were written; null: they are not.';
COMMENT ON COLUMN batch_claim.not_before IS
    'When its files may be tried again; null: now.';
COMMENT ON COLUMN batch_claim.lease_holder IS
    'Who writes its files, or did last.';
COMMENT ON COLUMN batch_claim.lease_until IS
    'Until when nobody else may; null: it was given back.';
COMMENT ON COLUMN batch_claim.lease_token IS
    'The newest lease''s fencing token: only its holder may write. 0: it was never leased.';

-- Deliveries.

ALTER TABLE delivery
    ADD COLUMN IF NOT EXISTS queue_number      bigint,
    ADD COLUMN IF NOT EXISTS lane_count        integer,
    ADD COLUMN IF NOT EXISTS requested_by      text,
    ADD COLUMN IF NOT EXISTS first_id          integer,
    ADD COLUMN IF NOT EXISTS last_id           integer,
    ADD COLUMN IF NOT EXISTS under_way         boolean NOT NULL
                                               GENERATED ALWAYS AS (status = 'delivering' AND ended_timestamp IS NULL) STORED,
    ADD COLUMN IF NOT EXISTS tries             integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS confirming        boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS not_before        timestamptz,
    ADD COLUMN IF NOT EXISTS run_uid           text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS outcome_status    text,
    ADD COLUMN IF NOT EXISTS outcome_error     text,
    ADD COLUMN IF NOT EXISTS knowledge_attempt integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS cut_offs          integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS lease_holder      text,
    ADD COLUMN IF NOT EXISTS lease_until       timestamptz,
    ADD COLUMN IF NOT EXISTS lease_token       bigint NOT NULL DEFAULT 0;

ALTER TABLE delivery DROP CONSTRAINT IF EXISTS delivery_status_check;
ALTER TABLE delivery ADD CONSTRAINT delivery_status_check CHECK (
    status IN ('claimed', 'written', 'delivering', 'delivered', 'partial', 'failed', 'resolved')
);

COMMENT ON TABLE delivery IS
    'One row per transaction file: claimed, written, delivering, then delivered, partial or failed; or resolved by an operator. One that waits for another attempt is delivering.';
COMMENT ON COLUMN delivery.record_count IS
    'Executions in the file, written or planned.';
COMMENT ON COLUMN delivery.exit_code IS
    'The last attempt''s; null when it was killed or never started. 0 is not success: see the counts.';
COMMENT ON COLUMN delivery.accepted_count IS
    'Records of the file that were booked, by the last attempt or an earlier one.';
COMMENT ON COLUMN delivery.rejected_count IS
    'Records that a person must look at: refused for good, stored without being booked, unconfirmed, or foreign.';
COMMENT ON COLUMN delivery.unknown_count IS
    'Records of which neither is known.';
COMMENT ON COLUMN delivery.error IS
    'Why it is no further, or not delivered.';
COMMENT ON COLUMN delivery.queue_number IS
    'Its place in the queue: its batch''s, or a later one of its own after a resend. Within a place, by part.';
COMMENT ON COLUMN delivery.lane_count IS
    'How many lanes its batch has.';
COMMENT ON COLUMN delivery.requested_by IS
    'Who asked for the batch or the resend, such as a correlation id; for people.';
COMMENT ON COLUMN delivery.first_id IS
    'The smallest id of an execution in the file.';
COMMENT ON COLUMN delivery.last_id IS
    'The largest id of an execution in the file.';
COMMENT ON COLUMN delivery.under_way IS
    'Whether the last attempt has no outcome yet: its run is to be found, or started.';
COMMENT ON COLUMN delivery.tries IS
    'Attempts since the last resend that count against the limit.';
COMMENT ON COLUMN delivery.confirming IS
    'Whether the next attempt is only to confirm that all was booked.';
COMMENT ON COLUMN delivery.not_before IS
    'When it may be worked on again; null: now.';
COMMENT ON COLUMN delivery.run_uid IS
    'What the runner noted of the attempt under way.';
COMMENT ON COLUMN delivery.outcome_status IS
    'What the last attempt came to, once it ended: delivered, partial or failed.';
COMMENT ON COLUMN delivery.outcome_error IS
    'Why the last attempt did not come to delivered.';
COMMENT ON COLUMN delivery.knowledge_attempt IS
    'The newest attempt whose rejects tell which records were never stored; 0: none was.';
COMMENT ON COLUMN delivery.cut_offs IS
    'Runs since that attempt that were cut off.';
COMMENT ON COLUMN delivery.lease_holder IS
    'Who works on it, or did last.';
COMMENT ON COLUMN delivery.lease_until IS
    'Until when nobody else may; null: it was given back.';
COMMENT ON COLUMN delivery.lease_token IS
    'The newest lease''s fencing token: only its holder may write. 0: it was never leased.';

CREATE OR REPLACE FUNCTION adopt_delivery() RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
BEGIN
    IF NEW.queue_number IS NULL THEN
        SELECT c.queue_number, c.lane_count, c.requested_by
          INTO NEW.queue_number, NEW.lane_count, NEW.requested_by
          FROM batch_claim AS c
         WHERE c.batch_id = NEW.batch_id;
    END IF;
    -- The version before made one file of a window.
    IF NEW.first_id IS NULL AND (NEW.record_count IS NULL OR NEW.checksum IS NOT NULL) THEN
        SELECT coalesce(NEW.record_count, count(*)), coalesce(min(e.id), 0), coalesce(max(e.id), 0)
          INTO NEW.record_count, NEW.first_id, NEW.last_id
          FROM batch_history AS h
          JOIN execution AS e
            ON e.ready_to_send_timestamp >= h.previous_start_time AND e.ready_to_send_timestamp < h.start_time
         WHERE h.id = NEW.batch_id;
    END IF;
    IF NEW.lease_token = 0 AND NEW.status = 'delivering' THEN
        -- Its run may have stored any number of the file's first records, and nobody will say which.
        NEW.cut_offs := 1;
    ELSIF NEW.lease_token = 0 AND NEW.outcome_status IS NULL
          AND NEW.status IN ('delivered', 'partial', 'failed') THEN
        NEW.outcome_status := NEW.status;
        NEW.outcome_error := coalesce(NEW.error, '');
        -- Only a run that ended by itself with 0 was not cut off; one that a signal ended has e.g. -9, or 137.
        NEW.knowledge_attempt := CASE WHEN NEW.exit_code = 0 THEN NEW.attempts ELSE 0 END;
        NEW.cut_offs := CASE WHEN NEW.exit_code = 0 THEN 0 ELSE 1 END;
    END IF;
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION adopt_delivery() IS
    'Fills in what the version before leaves out, which knows neither queue nor leases.';

DROP TRIGGER IF EXISTS delivery_adopt ON delivery;
CREATE TRIGGER delivery_adopt BEFORE INSERT OR UPDATE ON delivery
    FOR EACH ROW WHEN (
        NEW.queue_number IS NULL
        OR NEW.first_id IS NULL AND (NEW.record_count IS NULL OR NEW.checksum IS NOT NULL)
        OR NEW.lease_token = 0 AND NEW.status NOT IN ('claimed', 'written')
    )
    EXECUTE FUNCTION adopt_delivery();

-- The trigger fills in the rest.
UPDATE delivery SET queue_number = NULL WHERE queue_number IS NULL;

ALTER TABLE delivery
    ALTER COLUMN queue_number SET NOT NULL,
    ALTER COLUMN lane_count SET NOT NULL,
    ALTER COLUMN requested_by SET NOT NULL;

-- What was written is prepared; so is an empty window, which has no file. All else is written by who takes it.
UPDATE batch_claim AS c
   SET prepared_timestamp = coalesce(
           (SELECT max(d.written_timestamp) FROM delivery AS d WHERE d.batch_id = c.batch_id), c.claimed_timestamp
       )
  FROM batch_history AS h
 WHERE h.id = c.batch_id
   AND c.prepared_timestamp IS NULL
   AND CASE WHEN EXISTS (SELECT FROM delivery AS d WHERE d.batch_id = c.batch_id)
            THEN NOT EXISTS (SELECT FROM delivery AS d WHERE d.batch_id = c.batch_id AND d.status = 'claimed')
            ELSE NOT EXISTS (
                SELECT FROM execution AS e
                 WHERE e.ready_to_send_timestamp >= h.previous_start_time
                   AND e.ready_to_send_timestamp < h.start_time
            )
       END;

CREATE INDEX IF NOT EXISTS batch_claim_unprepared_ndx
    ON batch_claim (queue_number) WHERE prepared_timestamp IS NULL;
CREATE INDEX IF NOT EXISTS delivery_open_ndx
    ON delivery (queue_number, part, lane) WHERE status IN ('claimed', 'written', 'delivering');
CREATE INDEX IF NOT EXISTS delivery_reject_delivery_id_attempt_id_ndx
    ON delivery_reject (delivery_id, attempt, id);
CREATE INDEX IF NOT EXISTS delivery_reject_delivery_id_attempt_source_id_ndx
    ON delivery_reject (delivery_id, attempt, source_id);

-- What operators decide, and what waits for their decision.

CREATE TABLE IF NOT EXISTS delivery_stop (
    id                bigserial PRIMARY KEY,
    delivery_id       integer NOT NULL REFERENCES delivery (id),
    reason            text NOT NULL,
    stopped_timestamp timestamptz NOT NULL DEFAULT clock_timestamp(),
    cleared_timestamp timestamptz,
    cleared_by        text,
    cleared_reason    text
);

CREATE UNIQUE INDEX IF NOT EXISTS delivery_stop_open_ndx ON delivery_stop ((true)) WHERE cleared_timestamp IS NULL;

COMMENT ON TABLE delivery_stop IS
    'Why nothing is delivered: foreign rows stand under our source ids. At most one is not cleared.';
COMMENT ON COLUMN delivery_stop.delivery_id IS
    'In which they were found.';
COMMENT ON COLUMN delivery_stop.cleared_reason IS
    'The words of the operator who cleared it.';

CREATE TABLE IF NOT EXISTS delivery_resolution (
    id                 bigserial PRIMARY KEY,
    delivery_id        integer NOT NULL REFERENCES delivery (id),
    source_id          text NOT NULL,
    reason             text NOT NULL,
    resolved_by        text NOT NULL,
    resolved_timestamp timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (delivery_id, source_id)
);

COMMENT ON TABLE delivery_resolution IS
    'What operators settled by hand, with their words.';
COMMENT ON COLUMN delivery_resolution.source_id IS
    'The record; empty for the whole delivery.';

CREATE TABLE IF NOT EXISTS output_directory (
    is_only             boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    identity            text NOT NULL,
    confirmed_by        text NOT NULL,
    confirmed_timestamp timestamptz NOT NULL
);

COMMENT ON TABLE output_directory IS
    'Which output directory the replicas share: what stands in its identity file, and which of them saw it last.';

-- The functions below must be VOLATILE plpgsql and run in READ COMMITTED, as those of the windows: each of their
-- statements sees what was committed before it began, and so what it has waited for.

CREATE OR REPLACE FUNCTION claim_window(
    last_start          timestamptz,
    file_quantity       text,
    file_format_version integer,
    lane_count          integer,
    file_max_records    integer,
    requested_by        text,
    lease_holder        text,
    lease_time          interval
) RETURNS TABLE (id integer, previous_start_time timestamptz, start_time timestamptz, lease_token bigint)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    batch record;
    token CONSTANT bigint := nextval('lease_token');
BEGIN
    SELECT b.* INTO STRICT batch
      FROM claim_batch(last_start, file_quantity, file_format_version, lane_count, requested_by) AS b;
    UPDATE batch_claim AS c
       SET file_max_records = claim_window.file_max_records,
           lease_holder = claim_window.lease_holder,
           lease_until = clock_timestamp() + lease_time,
           lease_token = token
     WHERE c.batch_id = batch.id;
    RETURN QUERY SELECT batch.id, batch.previous_start_time, batch.start_time, token;
END
$$;

COMMENT ON FUNCTION claim_window IS
    'Claims the window from last_start up to now (see claim_batch), leased for writing its files.';

CREATE OR REPLACE FUNCTION queue_lock_key() RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT 8089003::bigint $$;

COMMENT ON FUNCTION queue_lock_key() IS
    'The advisory lock of those who take deliveries: one at a time.';

CREATE OR REPLACE FUNCTION next_delivery() RETURNS integer
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    found_id        integer;
BEGIN
    SELECT d.id INTO found_id
      FROM delivery AS d
     WHERE d.status IN ('written', 'delivering')
       AND (d.not_before IS NULL OR d.not_before <= moment)
       AND (d.lease_until IS NULL OR d.lease_until <= moment)
       AND (d.under_way OR NOT EXISTS (SELECT FROM delivery_stop AS s WHERE s.cleared_timestamp IS NULL))
       AND NOT EXISTS (
           SELECT FROM batch_claim AS c
            WHERE c.prepared_timestamp IS NULL AND c.queue_number < d.queue_number AND c.batch_id <> d.batch_id
       )
       -- What keeps it back, in its lane or beside another lane count: whatever stands before it; and also
       -- behind it, what is begun or held. That comes about when a resend, with the number that it drew, is
       -- committed late. What is begun is itself kept back only by what is held, or begun and before it.
       AND NOT EXISTS (
           SELECT FROM delivery AS e
            WHERE e.status IN ('claimed', 'written', 'delivering')
              AND e.id <> d.id
              AND (e.lane = d.lane OR e.lane_count <> d.lane_count)
              AND (e.lease_until > moment
                   OR (e.status <> 'delivering', e.queue_number, e.part)
                    < (d.status <> 'delivering', d.queue_number, d.part))
       )
     ORDER BY d.queue_number, d.part, d.lane
     LIMIT 1;
    RETURN found_id;
END
$$;

COMMENT ON FUNCTION next_delivery() IS
    'The first delivery in the queue that may be worked on now; null when there is none.';

CREATE OR REPLACE FUNCTION take_delivery(holder text, lease_time interval) RETURNS SETOF delivery
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
DECLARE
    found_id integer;
    taken    delivery;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'take_delivery must run in READ COMMITTED, not in %',
            upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'GA001';
    END IF;
    IF next_delivery() IS NULL THEN  -- asked without a lock: nearly always there is none
        RETURN;
    END IF;

    PERFORM pg_advisory_xact_lock(queue_lock_key());
    -- Against the steps of those who hold a lease, run out or not: from here on none of these changes.
    PERFORM FROM delivery AS d
      WHERE d.status IN ('claimed', 'written', 'delivering')
      ORDER BY d.id
        FOR NO KEY UPDATE;

    found_id := next_delivery();
    IF found_id IS NULL THEN
        RETURN;
    END IF;
    SELECT * INTO STRICT taken FROM delivery AS d WHERE d.id = found_id;
    -- Whoever held one of its lane before, and let that lease run out, must not begin beside it.
    UPDATE delivery AS e
       SET lease_token = nextval('lease_token'), lease_holder = NULL, lease_until = NULL
     WHERE e.status = 'written'
       AND e.lease_holder IS NOT NULL
       AND e.id <> taken.id
       AND (e.lane = taken.lane OR e.lane_count <> taken.lane_count);
    RETURN QUERY
    UPDATE delivery AS d
       SET lease_token = nextval('lease_token'),
           lease_holder = take_delivery.holder,
           lease_until = clock_timestamp() + take_delivery.lease_time
     WHERE d.id = taken.id
    RETURNING d.*;
END
$$;

COMMENT ON FUNCTION take_delivery IS
    'Leases the first delivery in the queue that may be worked on now; no row when there is none.';

CREATE OR REPLACE FUNCTION rejects_attempt(delivery) RETURNS integer
LANGUAGE sql STABLE
AS $$
    SELECT CASE
           WHEN EXISTS (SELECT FROM delivery_reject AS r WHERE r.delivery_id = $1.id AND r.attempt = $1.attempts)
           THEN $1.attempts
           ELSE $1.knowledge_attempt
           END
$$;

COMMENT ON FUNCTION rejects_attempt IS
    'The attempt whose rejects are shown: the one begun last if it recorded any, else the last that did.';

CREATE OR REPLACE FUNCTION resolve_record(of_delivery integer, of_record text, reason text, resolved_by text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    found_delivery delivery;
    told_by        integer;
BEGIN
    -- Of two who resolve the last two records at once, the later one sees what the earlier one did.
    SELECT * INTO found_delivery FROM delivery AS d WHERE d.id = of_delivery FOR NO KEY UPDATE;
    IF NOT FOUND OR found_delivery.status NOT IN ('delivered', 'partial', 'failed') THEN
        RETURN false;
    END IF;
    told_by := rejects_attempt(found_delivery);
    INSERT INTO delivery_resolution (delivery_id, source_id, reason, resolved_by)
    SELECT of_delivery, of_record, resolve_record.reason, resolve_record.resolved_by
     WHERE of_record <> ''
       AND EXISTS (
           SELECT FROM delivery_reject AS r
            WHERE r.delivery_id = of_delivery
              AND r.attempt = told_by
              AND r.source_id = of_record
       )
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE delivery AS d
       SET status = 'resolved', not_before = NULL, lease_until = NULL, lease_token = nextval('lease_token')
     WHERE d.id = of_delivery
       AND coalesce(d.unknown_count, 0) = 0
       AND NOT EXISTS (
           SELECT FROM delivery_reject AS r
            WHERE r.delivery_id = of_delivery
              AND r.attempt = told_by
              AND NOT EXISTS (
                  SELECT FROM delivery_resolution AS s
                   WHERE s.delivery_id = of_delivery AND s.source_id = r.source_id
              )
       );
    RETURN true;
END
$$;

COMMENT ON FUNCTION resolve_record IS
    'Settles one rejected record by hand, and with the last one its delivery; false when there is none to be settled.';
