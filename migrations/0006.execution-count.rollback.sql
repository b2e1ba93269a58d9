-- The executions stay; how many there are is counted by whoever asks.

DROP TRIGGER IF EXISTS execution_count_new ON execution;
DROP TRIGGER IF EXISTS execution_count_deleted ON execution;
DROP TRIGGER IF EXISTS execution_count_renumbered ON execution;
DROP TRIGGER IF EXISTS execution_count_truncated ON execution;
DROP FUNCTION IF EXISTS page_of_executions;
DROP FUNCTION IF EXISTS recount_executions;
DROP TABLE IF EXISTS execution_count;
DROP FUNCTION IF EXISTS settle_execution_counts;
DROP FUNCTION IF EXISTS count_no_executions;
DROP FUNCTION IF EXISTS count_renumbered_execution;
DROP FUNCTION IF EXISTS count_deleted_executions;
DROP FUNCTION IF EXISTS count_new_executions;
