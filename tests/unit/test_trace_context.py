"""A caller's word on its trace is handed on if the standard allows it."""

import pytest

from globeco_allocation.domain.trace_context import NO_TRACE, TraceContext, trace_context

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SANE = f"00-{TRACE}-{SPAN}-01"


def test_a_sane_place_in_a_trace_is_taken() -> None:
    assert trace_context(SANE, " a=1,b@c=2 ") == TraceContext(SANE, "a=1,b@c=2")


@pytest.mark.parametrize("flags", ["00", "01", "ff"])
def test_all_flags_are_handed_on(flags: str) -> None:
    assert trace_context(f"00-{TRACE}-{SPAN}-{flags}").parent == f"00-{TRACE}-{SPAN}-{flags}"


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert trace_context(f"cc-{TRACE}-{SPAN}-01-what-else") == TraceContext(SANE)


@pytest.mark.parametrize(
    "insane",
    [
        "",
        "nonsense",
        SANE.upper(),
        f"{SANE}-more",
        f"{SANE}\n",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f" {SANE}",
    ],
)
def test_an_insane_one_counts_as_none_with_its_state(insane: str) -> None:
    assert trace_context(insane, "a=1") is NO_TRACE


@pytest.mark.parametrize("state", ["", "a", "a=\x00", "a=\u00fc", "a=1\r\nX-Injected: 1", f"a={'1' * 511}"])
def test_an_insane_state_is_left_out(state: str) -> None:
    assert trace_context(SANE, state) == TraceContext(SANE)


def test_it_is_handed_on_by_headers_and_variables() -> None:
    assert TraceContext(SANE, "a=1").headers() == {"traceparent": SANE, "tracestate": "a=1"}
    assert TraceContext(SANE).variables() == {"TRACEPARENT": SANE}
    assert NO_TRACE.headers() == NO_TRACE.variables() == {}
