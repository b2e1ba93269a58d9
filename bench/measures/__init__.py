"""One module for each kind of work; each yields its findings."""
