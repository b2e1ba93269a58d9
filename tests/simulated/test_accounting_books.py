"""The books of the simulated accounting can be checked by a test and by an operator."""

import os
import sqlite3
import subprocess
import sys
from decimal import Decimal

import pytest
from tests.simulated.workplace import OTHER_PORTFOLIO, PORTFOLIO, SECURITY, Workplace, good, row

from globeco_allocation.entrypoints.simulated.accounting_books import Balance, main


def test_each_balance_stands_beside_the_sum_over_its_booked_rows(place: Workplace) -> None:
    place.book(good("AC1", quantity="3", price="2"), good("AC2", quantity="4", price="0.5"))
    place.book(good("AC3", portfolio=OTHER_PORTFOLIO)._replace(transaction_type="WD", security_id=""))

    books = place.books()

    seven, eight, withdrawn = Decimal(7), Decimal(-8), Decimal("-5012.5")
    assert books.balances == [
        Balance(PORTFOLIO, "", eight, eight, eight),
        Balance(PORTFOLIO, SECURITY, seven, seven, seven),
        Balance(OTHER_PORTFOLIO, "", withdrawn, withdrawn, withdrawn),
    ]
    assert (books.wrong, books.faults()) == ([], [])


@pytest.mark.parametrize("security", ["", SECURITY], ids=["cash", "holding"])
def test_a_balance_that_lost_a_change_is_found(place: Workplace, security: str) -> None:
    place.book(good("AC1", quantity="3", price="2"))
    db = sqlite3.connect(place.ledger)
    with db:
        db.execute("UPDATE balances SET amount = 0 WHERE security = ?", (security,))
    db.close()

    books = place.books()

    assert [balance.security for balance in books.wrong] == [security]
    assert books.lost == books.wrong
    name, due = (security, "3.00000000") if security else ("cash", "-6.00000000")
    assert books.faults() == [f"portfolio {PORTFOLIO}: {name} is 0.00000000, its booked rows make {due}"]


def test_a_balance_that_vanished_is_found(place: Workplace) -> None:
    place.book(good("AC1"))
    db = sqlite3.connect(place.ledger)
    with db:
        db.execute("DELETE FROM balances")
    db.close()

    assert len(place.books().lost) == 2


def test_a_row_that_overflows_the_cash_has_changed_the_holding(place: Workplace) -> None:
    place.book(good("AC1", quantity="200000000"))

    books = place.books()

    assert [entry.source_id for entry in books.half_booked] == ["AC1"]
    assert ([balance.security for balance in books.wrong], books.lost) == ([SECURITY], [])
    assert books.faults()[0] == f"AC1 of portfolio {PORTFOLIO} is ERROR, its holding changed, its cash not"


def test_the_report_for_an_operator_ends_with_0_when_the_books_are_right(
    place: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write(row("AC1"), row("AC2"))
    place.process()

    code = main([str(place.ledger), "--rows"])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[0] == f"AC1 PROC {PORTFOLIO} {SECURITY} 100.00000000"
    assert lines[2].startswith("run ")
    assert ": transactions.csv, 1 portfolios, " in lines[2]
    assert lines[-2:] == ["2 rows: 0 NEW, 2 PROC, 0 ERROR", "2 balances: 0 wrong; 0 overlaps of runs"]


def test_the_report_for_an_operator_ends_with_1_and_names_what_is_wrong(
    place: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write(row("AC1"), row("AC2"))
    place.process(fault="killed:2")

    code = main([str(place.ledger)])

    assert code == 1
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"AC2 of portfolio {PORTFOLIO} is NEW, its balances unchanged"
    )


def test_a_ledger_that_is_not_there_is_not_made(place: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(place.ledger)])

    assert ended.value.code == 2
    assert "there is no ledger" in capsys.readouterr().err
    assert not place.ledger.exists()


def test_a_ledger_of_the_time_before_the_races_is_taken_over(place: Workplace) -> None:
    old = sqlite3.connect(place.ledger)
    old.executescript("""
        CREATE TABLE transactions (id INTEGER PRIMARY KEY AUTOINCREMENT, source_id TEXT NOT NULL UNIQUE,
            portfolio TEXT NOT NULL, security TEXT NOT NULL, type TEXT NOT NULL, quantity TEXT NOT NULL,
            price TEXT NOT NULL, date TEXT NOT NULL, status TEXT NOT NULL, run TEXT NOT NULL);
        CREATE TABLE balances (portfolio TEXT NOT NULL, security TEXT NOT NULL, amount INTEGER NOT NULL,
            PRIMARY KEY (portfolio, security)) WITHOUT ROWID;
        INSERT INTO transactions VALUES (NULL, 'AC1', 'P', 'S', 'BUY', '3.00000000', '2.00000000',
            '20260302', 'PROC', '1-2');
        INSERT INTO balances VALUES ('P', 'S', 300000000), ('P', '', -600000000);
    """)
    old.close()
    place.book(good("AC2"))

    books = place.books()

    assert books.statuses == {"AC1": "PROC", "AC2": "PROC"}
    assert books.faults() == []


def test_many_runs_may_open_a_new_ledger_at_once(place: Workplace) -> None:
    program = (
        "import sys, pathlib\n"
        "from globeco_allocation.entrypoints.simulated.accounting_ledger import Ledger\n"
        "for _ in range(50):\n"
        "    with Ledger(pathlib.Path(sys.argv[1])) as ledger: ledger.entries()\n"
    )
    openers = [subprocess.Popen([sys.executable, "-c", program, str(place.ledger)]) for _ in range(6)]
    codes = [opener.wait(60) for opener in openers]

    assert codes == [0] * 6


def test_a_thousand_rows_cost_no_two_seconds_of_computing(place: Workplace) -> None:
    place.write(*(row(f"AC{number}", price="1") for number in range(1000)))
    before = os.times()
    ran = place.process("--batch-size", "1")
    after = os.times()

    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert (ran.count("Success Records"), place.books().faults()) == (1000, [])
    assert spent < 2.0
