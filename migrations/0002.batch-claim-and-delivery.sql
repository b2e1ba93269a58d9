-- depends: 0001.execution-and-batch-history

-- What we know about a batch beyond its window, and about its files on their way to Portfolio Accounting.

CREATE TABLE IF NOT EXISTS batch_claim (
    batch_id            integer PRIMARY KEY REFERENCES batch_history (id),
    file_quantity       text NOT NULL CHECK (file_quantity IN ('quantity', 'quantityFilled')),
    file_format_version integer NOT NULL,
    lane_count          integer NOT NULL CHECK (lane_count > 0),
    requested_by        text NOT NULL DEFAULT '',
    claimed_timestamp   timestamptz NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON TABLE batch_claim IS
    'The terms under which a batch''s files are made, written in the transaction that claims its window. A batch_history row without one was claimed by the Go implementation and is never sent by this service.';
COMMENT ON COLUMN batch_claim.file_quantity IS
    'Which amount the files hold: quantity (ordered) or quantityFilled (filled).';
COMMENT ON COLUMN batch_claim.lane_count IS
    'Into how many lanes the portfolios of this batch are spread.';
COMMENT ON COLUMN batch_claim.requested_by IS
    'Who asked for the batch, such as a correlation id; for people.';

CREATE TABLE IF NOT EXISTS delivery (
    id                serial PRIMARY KEY,
    batch_id          integer NOT NULL REFERENCES batch_claim (batch_id),
    lane              integer NOT NULL DEFAULT 0,
    part              integer NOT NULL DEFAULT 0,
    file_name         text NOT NULL UNIQUE,
    status            text NOT NULL DEFAULT 'claimed'
                      CHECK (status IN ('claimed', 'written', 'delivering', 'delivered', 'partial', 'failed')),
    record_count      bigint,
    byte_count        bigint,
    checksum          text,
    attempts          integer NOT NULL DEFAULT 0,
    exit_code         integer,
    accepted_count    bigint,
    rejected_count    bigint,
    unknown_count     bigint,
    error             text,
    claimed_timestamp timestamptz NOT NULL DEFAULT clock_timestamp(),
    written_timestamp timestamptz,
    started_timestamp timestamptz,
    ended_timestamp   timestamptz,
    UNIQUE (batch_id, lane, part)
);

COMMENT ON TABLE delivery IS
    'One row per transaction file: claimed, written, delivering, then delivered, partial or failed.';
COMMENT ON COLUMN delivery.file_name IS
    'Without its directory; unique for ever.';
COMMENT ON COLUMN delivery.checksum IS
    'SHA-256 of the file''s bytes, in hexadecimal.';
COMMENT ON COLUMN delivery.attempts IS
    'Runs of the accounting CLI that were begun.';
COMMENT ON COLUMN delivery.exit_code IS
    'The last run''s; null when it was killed or never started. 0 is not success: see the counts.';
COMMENT ON COLUMN delivery.accepted_count IS
    'Records of the last run that were booked.';
COMMENT ON COLUMN delivery.rejected_count IS
    'Records of the last run that were refused for good, or stored without being booked.';
COMMENT ON COLUMN delivery.unknown_count IS
    'Records of the last run of which neither is known.';

CREATE TABLE IF NOT EXISTS delivery_reject (
    id          bigserial PRIMARY KEY,
    delivery_id integer NOT NULL REFERENCES delivery (id),
    attempt     integer NOT NULL,
    source_id   text NOT NULL,
    verdict     text NOT NULL,
    reason      text NOT NULL
);

CREATE INDEX IF NOT EXISTS delivery_reject_delivery_id_attempt_ndx ON delivery_reject (delivery_id, attempt);

COMMENT ON TABLE delivery_reject IS
    'Records that Portfolio Accounting did not accept, with its words.';
COMMENT ON COLUMN delivery_reject.source_id IS
    'AC and the execution''s id; empty where the CLI''s error file does not name it.';
