"""Where the program is put together and started: HTTP, command line, settings."""
