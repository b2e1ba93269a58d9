-- What still waits for its portfolio is lost with this: list it first (globeco-allocation pending list).

DROP TABLE IF EXISTS pending_execution;
