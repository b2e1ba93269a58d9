-- What became of the files is forgotten; the batches themselves stay in batch_history, so nothing is sent twice.

DROP TABLE IF EXISTS delivery_reject;
DROP TABLE IF EXISTS delivery;
DROP TABLE IF EXISTS batch_claim;
