"""TLS to PostgreSQL: who is taken for the database, by asyncpg and by what migrates alike."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from tests.process.conftest import StartService
from tests.process.service_process import wait_until
from tests.security.tls_postgres import Authority, real_server, server_with_tls, tls_relay

from globeco_allocation.adapters.postgres.address import DatabaseAddress, SslMode
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.errors import DatabaseRefusedError, DatabaseUnreachableError
from globeco_allocation.adapters.postgres.knock import knock
from globeco_allocation.adapters.postgres.migrate import migrate
from globeco_allocation.adapters.postgres.pool import open_pool
from globeco_allocation.adapters.postgres.yoyo_backend import open_backend
from globeco_allocation.domain.errors import StoreUnavailableError
from globeco_allocation.entrypoints.settings import Settings
from globeco_allocation.entrypoints.settings.reading import SettingsError

REFUSED = (DatabaseRefusedError, DatabaseUnreachableError, StoreUnavailableError, psycopg.OperationalError)
IS_ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ours")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "foreign")


@pytest.fixture(scope="module")
def real(ours: Authority) -> Generator[DatabaseAddress]:
    """A real server that has TLS itself, and takes nobody without."""
    binaries = server_with_tls()
    if binaries is None:
        pytest.skip("no PostgreSQL server with TLS below /usr/lib/postgresql; a relay stands in elsewhere")
    with real_server(binaries, ours) as address:
        yield address


@pytest.fixture(scope="module")
def on_a_socket(server: DatabaseAddress) -> DatabaseAddress:
    """The tests' server, where a relay can stand before it."""
    if not server.host.startswith("/"):
        pytest.skip("the relay stands before a unix socket, and the tests' server is reached by TCP")
    return server


@pytest.fixture(params=["server", "relay"])
def encrypted(request: pytest.FixtureRequest, ours: Authority) -> Generator[DatabaseAddress]:
    """A server with TLS: a real one, and the tests' own behind a relay that speaks TLS for it."""
    if request.param == "server":
        yield request.getfixturevalue("real")
        return
    with tls_relay(request.getfixturevalue("on_a_socket"), ours) as address:
        yield address


@pytest.fixture
def plain(on_a_socket: DatabaseAddress) -> Generator[DatabaseAddress]:
    """A server without TLS, reached by TCP."""
    with tls_relay(on_a_socket, None) as address:
        yield address


async def with_the_pool(address: DatabaseAddress) -> None:
    async with open_pool(address) as pool:
        await pool.fetch("SELECT 1")


async def with_psycopg(address: DatabaseAddress) -> None:
    with await asyncio.to_thread(connect, address, {}) as session:
        session.execute("SELECT 1")


async def with_yoyo(address: DatabaseAddress) -> None:
    backend = await asyncio.to_thread(open_backend, address)
    backend.connection.close()


every_way = pytest.mark.parametrize("enter", [with_the_pool, knock, with_psycopg, with_yoyo])
Enter = Callable[[DatabaseAddress], Awaitable[None]]


@every_way
async def test_the_right_host_with_our_authority_s_certificate_is_taken(
    encrypted: DatabaseAddress, ours: Authority, enter: Enter
) -> None:
    for mode in (SslMode.REQUIRE, SslMode.VERIFY_CA, SslMode.VERIFY_FULL):
        await enter(replace(encrypted, ssl_mode=mode, ssl_root_cert=str(ours.root)))


@every_way
async def test_a_certificate_for_another_host_is_refused_by_verify_full_alone(
    encrypted: DatabaseAddress, ours: Authority, enter: Enter
) -> None:
    elsewhere = replace(encrypted, host="127.0.0.1", ssl_root_cert=str(ours.root))

    await enter(replace(elsewhere, ssl_mode=SslMode.VERIFY_CA))
    with pytest.raises(REFUSED):
        await enter(replace(elsewhere, ssl_mode=SslMode.VERIFY_FULL))


@every_way
async def test_a_foreign_authority_s_certificate_is_refused_unless_nobody_verifies(
    encrypted: DatabaseAddress, foreign: Authority, enter: Enter
) -> None:
    await enter(replace(encrypted, ssl_mode=SslMode.REQUIRE))
    for mode in (SslMode.REQUIRE, SslMode.VERIFY_CA, SslMode.VERIFY_FULL):
        with pytest.raises(REFUSED):
            await enter(replace(encrypted, ssl_mode=mode, ssl_root_cert=str(foreign.root)))


@every_way
async def test_a_server_without_tls_is_taken_by_prefer_and_refused_by_require(
    plain: DatabaseAddress, enter: Enter
) -> None:
    await enter(replace(plain, ssl_mode=SslMode.DISABLE))
    await enter(replace(plain, ssl_mode=SslMode.PREFER))
    with pytest.raises(REFUSED):
        await enter(replace(plain, ssl_mode=SslMode.REQUIRE))


async def test_the_reasons_are_told_to_the_operator(
    encrypted: DatabaseAddress, ours: Authority, foreign: Authority
) -> None:
    full = replace(encrypted, ssl_mode=SslMode.VERIFY_FULL, ssl_root_cert=str(ours.root))

    with pytest.raises(DatabaseRefusedError, match=r"does not hold \(IP address mismatch.*DB_HOST"):
        await knock(replace(full, host="127.0.0.1"))
    with pytest.raises(DatabaseRefusedError, match=r"does not hold .*DB_SSL_ROOT_CERT_FILE"):
        await knock(replace(full, ssl_root_cert=str(foreign.root)))
    with pytest.raises(StoreUnavailableError):
        await with_the_pool(replace(full, host="127.0.0.1"))


async def test_a_server_without_tls_may_get_it_later(plain: DatabaseAddress) -> None:
    with pytest.raises(DatabaseUnreachableError, match=r"over TLS.*DB_SSL_MODE=require"):
        await knock(replace(plain, ssl_mode=SslMode.REQUIRE))


async def test_prefer_is_encrypted_where_the_server_can(real: DatabaseAddress) -> None:
    async with open_pool(real) as pool:
        assert (await pool.fetch(IS_ENCRYPTED))[0]["ssl"] is True
    with connect(real, {}) as session:
        assert session.execute(IS_ENCRYPTED).fetchall() == [(True,)]


async def test_without_tls_a_server_that_asks_for_it_says_so(real: DatabaseAddress) -> None:
    with pytest.raises(DatabaseRefusedError, match=r"may ask for TLS \(DB_SSL_MODE\)"):
        await knock(replace(real, ssl_mode=SslMode.DISABLE))


@pytest.mark.parametrize("mode", list(SslMode))
async def test_a_unix_socket_never_has_tls(
    on_a_socket: DatabaseAddress, mode: SslMode, ours: Authority
) -> None:
    address = replace(on_a_socket, ssl_mode=mode, ssl_root_cert=str(ours.root) if mode.verifies else "")
    await with_the_pool(address)
    await with_psycopg(address)


def test_the_service_migrates_and_serves_over_tls_and_ends_where_the_server_is_another(
    on_a_socket: DatabaseAddress,
    empty_database: DatabaseAddress,
    ours: Authority,
    start_service: StartService,
) -> None:
    tls = {"DB_SSL_MODE": "verify-full", "DB_SSL_ROOT_CERT_FILE": str(ours.root)}
    with tls_relay(replace(on_a_socket, name=empty_database.name), ours) as address:
        service = start_service(address, **tls)
        wait_until(service.is_ready, "the service is ready")

        impostor = start_service(replace(address, host="127.0.0.1"), **tls)
        assert impostor.exit_code() == 1
        assert "is not trusted" in impostor.stderr


def test_a_real_server_is_migrated_over_tls_unless_it_is_another(
    real: DatabaseAddress, ours: Authority, foreign: Authority
) -> None:
    full = replace(real, ssl_mode=SslMode.VERIFY_FULL, ssl_root_cert=str(ours.root))
    with pytest.raises(DatabaseRefusedError, match="is not trusted"):
        migrate(replace(full, ssl_root_cert=str(foreign.root)), lambda _: None)

    assert "0001" in migrate(full, lambda _: None).applied[0]


def faults(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ)
    return str(caught.value)


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_verifying_without_a_root_certificate_is_a_fault(mode: str) -> None:
    assert faults(DB_SSL_MODE=mode).startswith(f"DB_SSL_ROOT_CERT_FILE must be set with DB_SSL_MODE={mode} ")


@pytest.mark.parametrize("mode", ["disable", "prefer", "allow", ""])
def test_a_root_certificate_that_nothing_is_judged_by_is_a_fault(mode: str, ours: Authority) -> None:
    told = faults(DB_SSL_MODE=mode, DB_SSL_ROOT_CERT_FILE=str(ours.root))

    assert told.startswith("DB_SSL_ROOT_CERT_FILE has no meaning with DB_SSL_MODE=")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read"),
        (b"", "holds no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n", "holds no certificate"),
        (b"\0" * 10, "holds no certificate"),
        (b"x" * (4 * 1024 * 1024 + 1), "holds no certificate"),
    ],
    ids=["absent", "empty", "broken", "no text", "endless"],
)
def test_a_root_certificate_file_that_cannot_be_used_is_a_fault(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "root.pem"
    if content is not None:
        file.write_bytes(content)

    told = faults(DB_SSL_MODE="verify-full", DB_SSL_ROOT_CERT_FILE=str(file))
    assert told.startswith(f"DB_SSL_ROOT_CERT_FILE {reason}")


def test_the_modes_are_libpq_s_words_and_its_own_variables_count(ours: Authority) -> None:
    address = Settings.load({"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(ours.root)}).database

    assert (address.ssl_mode, address.ssl_root_cert) == (SslMode.VERIFY_FULL, str(ours.root))
    assert Settings.load({}).database.ssl_mode is SslMode.PREFER
    assert "DB_SSL_MODE holds 'yes'" in faults(DB_SSL_MODE="yes")
