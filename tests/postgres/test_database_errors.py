import socket
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from psycopg import sql

from globeco_allocation.adapters.postgres.address import DatabaseAddress, Pooler
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.errors import (
    DatabaseRefusedError,
    DatabaseUnreachableError,
    connection_failure,
)
from globeco_allocation.adapters.postgres.migrate import migrate, rollback
from globeco_allocation.domain.errors import AllocationError

ADDRESS = DatabaseAddress("db.example", 5432, "allocation_db", "allocator", "secret")


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        pytest.param("3D000", DatabaseRefusedError, id="no such database"),
        pytest.param("28P01", DatabaseRefusedError, id="wrong password"),
        pytest.param("28000", DatabaseRefusedError, id="no such role"),
        pytest.param("42501", DatabaseRefusedError, id="no right to connect"),
        pytest.param("57P03", DatabaseUnreachableError, id="starting up"),
        pytest.param("53300", DatabaseUnreachableError, id="too many connections"),
        pytest.param(None, DatabaseUnreachableError, id="no answer"),
    ],
)
def test_a_failed_connection_is_final_or_passing(sqlstate: str | None, kind: type[AllocationError]) -> None:
    failure = connection_failure(sqlstate, ADDRESS)

    assert type(failure) is kind
    assert "allocation_db" in str(failure)
    assert "secret" not in str(failure)


def test_a_missing_database_is_refused_and_the_empty_password_named(server: DatabaseAddress) -> None:
    with pytest.raises(
        DatabaseRefusedError, match=r"'nowhere'.*does not exist.*DATABASE_PASSWORD.*'postgres'"
    ):
        migrate(replace(server, name="nowhere"), print)


@pytest.mark.parametrize("change", [migrate, rollback])
def test_nobody_migrates_through_a_pooler(
    empty_database: DatabaseAddress, change: Callable[[DatabaseAddress, Callable[[str], None]], object]
) -> None:
    with pytest.raises(DatabaseRefusedError, match=r"DB_HOST and DB_PORT of the server itself"):
        change(replace(empty_database, pooler=Pooler.TRANSACTION), print)

    with connect(empty_database, {}) as direct:
        assert direct.execute("SELECT FROM pg_tables WHERE schemaname = 'public'").fetchall() == []


@pytest.mark.parametrize("password", ["wrong", ""])
def test_a_wrong_password_is_refused(
    database: DatabaseAddress, someone: DatabaseAddress, password: str
) -> None:
    let_read(database, someone)
    try:
        migrate(replace(someone, password=password), print)
    except DatabaseRefusedError as error:
        refused = str(error)
    else:
        pytest.skip("this server checks no passwords")

    assert f"does not let role '{someone.user}' in" in refused


def test_the_right_password_is_not_refused(database: DatabaseAddress, someone: DatabaseAddress) -> None:
    let_read(database, someone)

    assert migrate(someone, print).applied == ()


def test_a_role_that_may_not_read_is_refused(someone: DatabaseAddress) -> None:
    with pytest.raises(DatabaseRefusedError, match="lacks rights"):
        migrate(someone, print)


def let_read(database: DatabaseAddress, reader: DatabaseAddress) -> None:
    with connect(database, {}) as owner:
        owner.execute(
            sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(sql.Identifier(reader.user))
        )


def test_a_role_that_does_not_exist_is_refused(server: DatabaseAddress) -> None:
    with pytest.raises(DatabaseRefusedError, match="'stranger'"):
        migrate(replace(server, user="stranger", password="x"), print)


def test_a_role_that_may_not_create_tables_is_refused_at_once(
    empty_database: DatabaseAddress, someone: DatabaseAddress
) -> None:
    began = time.monotonic()
    with pytest.raises(DatabaseRefusedError, match="may not create tables"):
        migrate(replace(someone, name=empty_database.name), print)

    assert time.monotonic() - began < 5


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with socket.socket() as reserved:  # bound, and nobody listens
        reserved.bind(("127.0.0.1", 0))
        address = DatabaseAddress("127.0.0.1", reserved.getsockname()[1], "postgres", "postgres")

        with pytest.raises(DatabaseUnreachableError, match="cannot be reached"):
            migrate(address, print)


def test_a_server_that_never_answers_is_unreachable_within_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = DatabaseAddress("127.0.0.1", silent.getsockname()[1], "postgres", "postgres")
        began = time.monotonic()

        with pytest.raises(DatabaseUnreachableError, match="cannot be reached"):
            migrate(address, print)
    assert time.monotonic() - began < 15


def test_a_host_without_an_address_is_unreachable() -> None:
    with pytest.raises(DatabaseUnreachableError, match="cannot be reached"):
        migrate(DatabaseAddress("nowhere.invalid", 5432, "postgres", "postgres"), print)


async def test_a_running_event_loop_is_no_hindrance(server: DatabaseAddress) -> None:
    with pytest.raises(DatabaseRefusedError):
        migrate(replace(server, name="nowhere"), print)
