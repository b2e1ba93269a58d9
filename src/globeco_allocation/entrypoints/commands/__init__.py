"""One module per command of the command line.

Each has ``add_arguments(parser)`` and ``run(arguments) -> int``, the exit code. It is loaded when its command
is named, and loads what is heavy only when it runs.
"""
