"""In-memory twins of the ports: they keep the same promises, and forget everything at the end."""
