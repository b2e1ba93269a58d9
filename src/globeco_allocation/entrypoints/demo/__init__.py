"""The demonstration: one real run of the main job, from a data file to booked transactions."""
