"""What is asked of a running service after each rollout; nothing of it sends, books or stores anything."""
