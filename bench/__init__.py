"""Measures the service beside the bare limit of each of its paths; ``make bench`` runs it all."""
