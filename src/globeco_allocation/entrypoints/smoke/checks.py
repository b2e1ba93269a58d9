"""The checks, each a question to the service and what its answer has to be, in their order."""

from collections.abc import Callable, Mapping

from globeco_allocation.entrypoints.smoke import requests, standing
from globeco_allocation.entrypoints.smoke.caller import Caller
from globeco_allocation.entrypoints.smoke.findings import Finding, Terms

Check = Callable[[Caller, Terms], Finding]

CHECKS: Mapping[str, Check] = {
    "alive": standing.alive,
    "ready": standing.ready,
    "metrics": standing.metrics,
    "fit to deliver": standing.delivers,
    "executions listed": requests.lists_executions,
    "page of size 0 refused": requests.refuses_strange_pages,
    "unknown execution not found": requests.knows_what_it_has_not,
    "unknown address not found": requests.knows_its_addresses,
    "empty request refused": requests.refuses_nothing_at_all,
    "broken record refused": requests.names_the_faulty_field,
    "batches listed": requests.lists_batches,
    "correlation id returned": standing.carries_the_correlation_id,
    "documentation": standing.documents_itself,
    "operator's page": standing.shows_its_page,
    "token asked for": standing.lets_nobody_in_without_a_token,
}
"""Every check by its name, in the order in which they are made."""

VITAL = frozenset({"alive"})
"""Without these the others are not worth asking."""
