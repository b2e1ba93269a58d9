"""PostgreSQL: executions, batches and deliveries."""
