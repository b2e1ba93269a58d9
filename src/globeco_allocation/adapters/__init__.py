"""The real things behind the ports, and a twin in memory of each."""
