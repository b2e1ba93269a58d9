-- What waits for its portfolio is kept nowhere else, and those who reported it were told that it is safe.
DO $$
BEGIN
    IF to_regclass('pending_execution') IS NOT NULL THEN
        IF EXISTS (SELECT FROM pending_execution) THEN
            RAISE EXCEPTION 'pending_execution holds executions that are kept nowhere else: let the service find their portfolios, or save and delete them first';
        END IF;
    END IF;
END
$$;

DROP TABLE IF EXISTS pending_execution;
