"""Several processes on one port: a parent that keeps the sockets, and replaces what dies."""
