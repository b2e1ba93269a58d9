-- The two tables of the specification, in a fresh database or in one that the Go implementation filled.
--
-- Every statement may run again: applying a migration and noting that it was applied are two transactions.
-- ASCII only, for the file is read in the encoding of the machine.

CREATE TABLE IF NOT EXISTS execution (
    id                      serial PRIMARY KEY,
    execution_service_id    integer NOT NULL UNIQUE,
    is_open                 boolean NOT NULL DEFAULT true,
    execution_status        varchar(20) NOT NULL,
    trade_type              varchar(10) NOT NULL,
    destination             varchar(20) NOT NULL,
    trade_date              date NOT NULL,
    security_id             char(24) NOT NULL,
    ticker                  varchar(20) NOT NULL,
    portfolio_id            char(24),
    quantity                decimal(18,8) NOT NULL,
    limit_price             decimal(18,8),
    received_timestamp      timestamptz NOT NULL,
    sent_timestamp          timestamptz NOT NULL,
    last_fill_timestamp     timestamptz,
    quantity_filled         decimal(18,8) NOT NULL DEFAULT 0,
    total_amount            decimal(18,8) DEFAULT 0,
    average_price           decimal(18,8) NOT NULL,
    ready_to_send_timestamp timestamptz DEFAULT CURRENT_TIMESTAMP,
    version                 integer NOT NULL DEFAULT 1
);

CREATE TABLE IF NOT EXISTS batch_history (
    id                  serial PRIMARY KEY,
    start_time          timestamptz NOT NULL UNIQUE DEFAULT CURRENT_TIMESTAMP,
    previous_start_time timestamptz NOT NULL UNIQUE,
    version             integer NOT NULL DEFAULT 1
);

-- In tables that were here before, uniqueness may be missing, or stand under any name: what counts is that an
-- index enforces it. Two senders are kept apart by it, and an execution from being kept twice.
DO $$
DECLARE
    rule record;
BEGIN
    FOR rule IN
        SELECT * FROM (VALUES
            ('execution', 'execution_service_id'),
            ('batch_history', 'start_time'),
            ('batch_history', 'previous_start_time')
        ) AS rules (table_name, column_name)
    LOOP
        IF NOT EXISTS (
            SELECT FROM pg_index AS i
            JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attname = rule.column_name
            WHERE i.indrelid = rule.table_name::regclass
              AND i.indisunique AND i.indisvalid AND i.indimmediate
              AND i.indpred IS NULL
              AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum
        ) THEN
            EXECUTE format('ALTER TABLE %I ADD UNIQUE (%I)', rule.table_name, rule.column_name);
        END IF;
    END LOOP;
END
$$;

-- The indexes that the specification names. One that has the name but is something else (not unique, left
-- invalid by a build that was cut off, on another column) would make IF NOT EXISTS skip the right one: it is
-- made anew. One on somebody else's table is left alone, and the migration fails.
DO $$
DECLARE
    rule record;
BEGIN
    FOR rule IN
        SELECT * FROM (VALUES
            ('execution_execution_service_id_ndx', 'execution', 'execution_service_id', false),
            ('execution_ready_to_send_timestamp_ndx', 'execution', 'ready_to_send_timestamp', false),
            ('batch_history_start_time_ndx', 'batch_history', 'start_time', true),
            ('batch_history_previous_start_time_ndx', 'batch_history', 'previous_start_time', true)
        ) AS rules (index_name, table_name, column_name, is_unique)
    LOOP
        IF EXISTS (
            SELECT FROM pg_index AS i
            JOIN pg_attribute AS a ON a.attrelid = rule.table_name::regclass AND a.attname = rule.column_name
            JOIN pg_class AS c ON c.oid = i.indexrelid
            JOIN pg_am AS m ON m.oid = c.relam
            WHERE i.indexrelid = to_regclass(rule.index_name)
              AND i.indrelid = a.attrelid
              AND i.indisvalid
              AND (i.indisunique OR NOT rule.is_unique)
              AND i.indpred IS NULL
              AND i.indkey[0] = a.attnum AND (i.indnkeyatts = 1 OR NOT i.indisunique)
              AND m.amname = 'btree'
        ) THEN
            CONTINUE;
        END IF;
        IF EXISTS (
            SELECT FROM pg_index AS i
            WHERE i.indexrelid = to_regclass(rule.index_name) AND i.indrelid = rule.table_name::regclass
        ) THEN
            EXECUTE format('DROP INDEX %I', rule.index_name);
        END IF;
        EXECUTE format(
            'CREATE %s INDEX %I ON %I (%I)',
            CASE WHEN rule.is_unique THEN 'UNIQUE' ELSE '' END,
            rule.index_name, rule.table_name, rule.column_name
        );
    END LOOP;
END
$$;

-- Where the first window begins. Without this row there is no last start time.
INSERT INTO batch_history (start_time, previous_start_time)
SELECT TIMESTAMPTZ '1900-01-02 00:00:00+00', TIMESTAMPTZ '1900-01-01 00:00:00+00'
WHERE NOT EXISTS (SELECT FROM batch_history);

-- An early release of the Go implementation made that row with both times alike. No batch can follow such a
-- row: its previous start time, 1900-01-01, is taken already. No execution lies between the two dates.
UPDATE batch_history
SET start_time = TIMESTAMPTZ '1900-01-02 00:00:00+00'
WHERE start_time = TIMESTAMPTZ '1900-01-01 00:00:00+00'
  AND previous_start_time = start_time
  AND (SELECT count(*) FROM batch_history) = 1;
