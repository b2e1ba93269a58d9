-- Nothing is lost: it is looked at, and kept elsewhere.

DROP FUNCTION IF EXISTS outstanding_work;
DROP INDEX IF EXISTS pending_execution_status_deferred_timestamp_ndx;
DROP INDEX IF EXISTS delivery_unresolved_ndx;
