-- depends: 0004.delivery-queue

-- Executions that were received and wait for their portfolio (TRADE_SERVICE_DEFER). The columns that a client
-- reports are those of the table execution. No window holds them: an execution is made of one, with a stamp of
-- that moment, once its portfolio is known.

CREATE TABLE IF NOT EXISTS pending_execution (
    execution_service_id   integer PRIMARY KEY,
    is_open                boolean NOT NULL,
    execution_status       varchar(20) NOT NULL,
    trade_type             varchar(10) NOT NULL,
    destination            varchar(20) NOT NULL,
    security_id            char(24) NOT NULL,
    ticker                 varchar(20) NOT NULL,
    quantity               decimal(18,8) NOT NULL,
    limit_price            decimal(18,8),
    received_timestamp     timestamptz NOT NULL,
    sent_timestamp         timestamptz NOT NULL,
    last_fill_timestamp    timestamptz,
    quantity_filled        decimal(18,8) NOT NULL,
    total_amount           decimal(18,8) NOT NULL,
    average_price          decimal(18,8) NOT NULL,
    status                 text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'error')),
    reason                 text NOT NULL,
    attempts               integer NOT NULL DEFAULT 0,
    deferred_timestamp     timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_attempt_timestamp timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- For what is due, and for the bounded count of what waits.
CREATE INDEX IF NOT EXISTS pending_execution_next_attempt_timestamp_ndx
    ON pending_execution (next_attempt_timestamp) WHERE status = 'pending';

COMMENT ON TABLE pending_execution IS
    'Executions that wait for their portfolio: pending, or in error when the service has given up and a person must look.';
COMMENT ON COLUMN pending_execution.reason IS
    'Why the last lookup failed.';
COMMENT ON COLUMN pending_execution.attempts IS
    'Lookups in the background that failed since it was deferred.';
COMMENT ON COLUMN pending_execution.deferred_timestamp IS
    'Since when it waits; anew when one in error is tried again.';
COMMENT ON COLUMN pending_execution.next_attempt_timestamp IS
    'Not before this is it looked up again; while a process looks it up, the end of that process''s lease.';
