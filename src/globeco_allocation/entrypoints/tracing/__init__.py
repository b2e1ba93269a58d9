"""Traces: what happened to a request, in which order, and where its time went."""
