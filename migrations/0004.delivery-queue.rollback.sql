-- Queue, leases, and what operators settled or still have to are forgotten. What waited for another attempt, or
-- was settled by hand, is shown as its last attempt left it.

DROP FUNCTION IF EXISTS resolve_record;
DROP FUNCTION IF EXISTS rejects_attempt;
DROP FUNCTION IF EXISTS take_delivery;
DROP FUNCTION IF EXISTS next_delivery;
DROP FUNCTION IF EXISTS queue_lock_key;
DROP FUNCTION IF EXISTS claim_window;
DROP TABLE IF EXISTS output_directory;
DROP TABLE IF EXISTS delivery_resolution;
DROP TABLE IF EXISTS delivery_stop;
DROP INDEX IF EXISTS delivery_reject_delivery_id_attempt_id_ndx;
DROP INDEX IF EXISTS delivery_reject_delivery_id_attempt_source_id_ndx;
DROP TRIGGER IF EXISTS delivery_adopt ON delivery;
DROP FUNCTION IF EXISTS adopt_delivery;

DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_attribute
         WHERE attrelid = 'delivery'::regclass AND attname = 'outcome_status' AND NOT attisdropped
    ) THEN
        UPDATE delivery
           SET status = coalesce(outcome_status, 'failed')
         WHERE status = 'resolved' OR status = 'delivering' AND NOT under_way;
    END IF;
END
$$;

ALTER TABLE delivery DROP CONSTRAINT IF EXISTS delivery_status_check;
ALTER TABLE delivery ADD CONSTRAINT delivery_status_check CHECK (
    status IN ('claimed', 'written', 'delivering', 'delivered', 'partial', 'failed')
);
ALTER TABLE delivery
    DROP COLUMN IF EXISTS under_way,
    DROP COLUMN IF EXISTS queue_number,
    DROP COLUMN IF EXISTS lane_count,
    DROP COLUMN IF EXISTS requested_by,
    DROP COLUMN IF EXISTS first_id,
    DROP COLUMN IF EXISTS last_id,
    DROP COLUMN IF EXISTS tries,
    DROP COLUMN IF EXISTS confirming,
    DROP COLUMN IF EXISTS not_before,
    DROP COLUMN IF EXISTS run_uid,
    DROP COLUMN IF EXISTS outcome_status,
    DROP COLUMN IF EXISTS outcome_error,
    DROP COLUMN IF EXISTS knowledge_attempt,
    DROP COLUMN IF EXISTS cut_offs,
    DROP COLUMN IF EXISTS lease_holder,
    DROP COLUMN IF EXISTS lease_until,
    DROP COLUMN IF EXISTS lease_token;
ALTER TABLE batch_claim
    DROP COLUMN IF EXISTS file_max_records,
    DROP COLUMN IF EXISTS queue_number,
    DROP COLUMN IF EXISTS prepared_timestamp,
    DROP COLUMN IF EXISTS not_before,
    DROP COLUMN IF EXISTS lease_holder,
    DROP COLUMN IF EXISTS lease_until,
    DROP COLUMN IF EXISTS lease_token;
DROP SEQUENCE IF EXISTS delivery_queue_number;
DROP SEQUENCE IF EXISTS lease_token;
