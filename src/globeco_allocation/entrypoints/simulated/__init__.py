"""The neighbours, simulated: a Trade Service and a Portfolio Accounting CLI for `dev`, `demo` and the tests.

Both behave as the recorded contracts say, their faults included. Neither shares code with the service, so
that a mistake there cannot hide behind the same mistake here.
"""
