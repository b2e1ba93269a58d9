"""What an attempt came to, in words for a person."""

from collections.abc import Mapping

from globeco_allocation.domain.delivery import RecordVerdict
from globeco_allocation.domain.judging.report import RunReport

IN_OUR_WORDS = {
    RecordVerdict.NOT_SENT: "Portfolio Accounting could not be reached, or did not store it",
    RecordVerdict.UNKNOWN: "Portfolio Accounting's answer was lost or cannot be read",
}
"""Of verdicts whose own words hold addresses, and nothing that a sender could mend."""

FOUND_KNOWN = {
    RecordVerdict.DUPLICATE: "sourceId: must be unique, though no attempt of ours can have stored it",
    RecordVerdict.UNCONFIRMED: "it may have been in flight when a run was cut off: look whether it is booked",
    RecordVerdict.UNKNOWN: "it may have been in flight when a run was cut off",
}
"""Of records that were found known after a run was cut off."""

STRAY = "the accounting CLI's error file names this record twice, or none of this file"
NOT_TOLD = "the accounting CLI left no word of this record"
TO_BE_CONFIRMED = "the accounting CLI left no counts: whether it booked the records not named here is unknown"


def explain(
    report: RunReport,
    seen: Mapping[RecordVerdict, int],
    accepted: int,
    unknown: int,
    *,
    cut_offs: int,
    words: str,
) -> str:
    """Say why not every record is booked.

    Args:
        report: What the run tells in numbers.
        seen: How many records got which verdict.
        accepted: How many are booked.
        unknown: Of how many it is not known.
        cut_offs: How many runs before it were cut off.
        words: What was said of the first record that is not booked.
    """
    parts = [f"{accepted} of {report.records} records booked"]
    if refused := seen.get(RecordVerdict.REFUSED):
        parts.append(f"{refused} refused")
    if stored := seen.get(RecordVerdict.NOT_BOOKED):
        parts.append(f"{stored} stored but not booked, so that a person must look")
    if unconfirmed := seen.get(RecordVerdict.UNCONFIRMED):
        parts.append(
            f"{unconfirmed} unconfirmed, perhaps in flight when a run was cut off, so that a person must look"
        )
    if known := seen.get(RecordVerdict.DUPLICATE):
        parts.append(f"{known} refused as known")
    if unknown:
        parts.append(f"{unknown} not known to be booked")
    text = ", ".join(parts) + _how_it_ended(report)
    if cut_offs > 1:
        text += f"; {cut_offs} runs before it were cut off, each with one of the unconfirmed in flight"
    if known:
        text += f"; Portfolio Accounting already has rows under {known} of our source ids: find out whose"
    return f"{text} (such as: {words})" if words else text


def _how_it_ended(report: RunReport) -> str:
    run = report.run
    complaint = f" ({run.complaint})" if run.complaint else ""
    if run.completed:
        if run.counts is None:
            return "; the accounting CLI left no counts"
        return (
            ""
            if report.fits
            else "; the accounting CLI's counts do not fit its error file and the records sent"
        )
    if run.timed_out:
        return f"; the accounting run was ended past its time limit{complaint}"
    if run.exit_code is None:
        return f"; the accounting run was cut off{complaint}"
    return f"; the accounting CLI ended with exit code {run.exit_code}{complaint}"
