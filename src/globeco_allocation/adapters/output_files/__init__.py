"""What the accounting CLI leaves beside a transaction file, however it was run."""
