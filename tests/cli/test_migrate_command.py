"""``globeco-allocation migrate`` waits for so many seconds as a person can mean."""

import pytest

from globeco_allocation.entrypoints.cli import main
from globeco_allocation.entrypoints.exit_codes import ExitCode


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "soon", ""])
def test_a_wait_that_is_no_time_is_a_wrong_command_line(
    seconds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["migrate", f"--wait={seconds}"])

    assert caught.value.code == ExitCode.USAGE
    assert "must be a number of seconds, 0 or more" in capsys.readouterr().err
