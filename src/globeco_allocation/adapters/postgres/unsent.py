"""What waits for the next batch, and what no batch will ever take in: as SQL (design, "Data")."""

COUNT_UNSENT = """
SELECT count(*) FROM execution
 WHERE ready_to_send_timestamp < 'infinity'
   AND ready_to_send_timestamp >= coalesce((SELECT max(start_time) FROM batch_history), '-infinity')
"""
"""Those at or after the last start time."""

UNSTAMPED_IDS = """
SELECT id FROM execution WHERE ready_to_send_timestamp IS NULL OR ready_to_send_timestamp = 'infinity'
"""
"""Those that no window holds."""
