"""GlobeCo Allocation Service: executions in, portfolio accounting files out."""

__version__ = "0.1.0"
