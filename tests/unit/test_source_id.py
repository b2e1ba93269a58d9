"""A source id is AC and our id, and nothing else is one."""

import pytest

from globeco_allocation.domain import execution_id_of, source_id


@pytest.mark.parametrize("execution_id", [1, 9, 10, 4711, 2**31 - 1])
def test_a_source_id_leads_back_to_its_execution(execution_id: int) -> None:
    assert source_id(execution_id) == f"AC{execution_id}"
    assert execution_id_of(source_id(execution_id)) == execution_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AC",
        "AC0",
        "AC007",
        "AC-1",
        "AC+1",
        "AC1.0",
        "AC 1",
        "AC1 ",
        "AC1\n",
        "ac1",
        "XAC1",
        "XY1",
        "1",
        "AC\u0661",
        "AC2147483648",
        "AC9999999999",
        "AC" + "9" * 5000,
    ],
)
def test_what_we_never_wrote_is_none_of_our_ids(text: str) -> None:
    assert execution_id_of(text) is None
