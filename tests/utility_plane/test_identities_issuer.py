"""The issuer's socket: its own user only, one-time codes, and errors that travel."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tulle.errors import TulleError, Unavailable, Unidentified, UsageError
from tulle.utility_plane.identities import Verifier, ask, issuer_of, mint, redeem, sign_in_code
from tulle.utility_plane.issuer import CODE_LIFE, Issuer, peer_uid, serve

MESH = "m-1a2b3c"


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Paths of Unix sockets may not be long."""
    with tempfile.TemporaryDirectory(prefix="tulle-") as folder:
        yield Path(folder)


@pytest.fixture
def issuer_socket(short_folder: Path) -> Iterator[Path]:
    stopped, ready = threading.Event(), threading.Event()
    path = short_folder / "issuer.sock"
    thread = threading.Thread(target=serve, args=(short_folder / "issuer", path, MESH, stopped, ready.set))
    thread.start()
    assert ready.wait(10)
    yield path
    stopped.set()
    thread.join(10)


def verifier_of(folder: Path) -> Verifier:
    return Verifier(folder / "issuer" / "jwks.json", issuer_of(MESH), MESH)


def test_it_mints_over_the_socket(issuer_socket: Path) -> None:
    token = mint(issuer_socket, "person:ann", ("weather",), 60, "service:x")
    found = verifier_of(issuer_socket.parent).verify(token)
    assert (found["sub"], found["teams"], found["act"]) == ("person:ann", ["weather"], {"sub": "service:x"})


def test_the_socket_is_private_and_knows_its_peer(issuer_socket: Path) -> None:
    assert issuer_socket.stat().st_mode & 0o777 == 0o600
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_uid(ours) == os.getuid()


def test_a_code_opens_one_session(issuer_socket: Path) -> None:
    code = sign_in_code(issuer_socket, "person:ann", ("weather",))
    found = verifier_of(issuer_socket.parent).verify(redeem(issuer_socket, code))
    assert (found["sub"], found["teams"]) == ("person:ann", ["weather"])
    with pytest.raises(Unidentified) as caught:
        redeem(issuer_socket, code)
    assert caught.value.code == "E311"
    assert caught.value.fix == "tulle token --link"


def test_of_many_at_once_one_redeems(issuer_socket: Path) -> None:
    code = sign_in_code(issuer_socket, "person:ann")

    def attempt(_: int) -> bool:
        try:
            return bool(redeem(issuer_socket, code))
        except Unidentified:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(16))) == 1


def test_a_code_grows_old(short_folder: Path) -> None:
    now = [1_000_000.0]
    issuer = Issuer(short_folder / "issuer", MESH, clock=lambda: now[0])
    young, old = issuer.code("person:ann"), issuer.code("person:ann")
    now[0] += CODE_LIFE - 1
    issuer.redeem(young)
    now[0] += 2
    with pytest.raises(Unidentified):
        issuer.redeem(old)


def test_codes_are_not_on_disk_in_clear(short_folder: Path) -> None:
    issuer = Issuer(short_folder / "issuer", MESH)
    code = issuer.code("person:ann")
    kept = short_folder / "issuer" / "codes.json"
    assert code not in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_code_survives_a_kill(short_folder: Path) -> None:
    path = short_folder / "issuer.sock"
    with _process(short_folder, path) as process:
        code = sign_in_code(path, "person:ann")
        process.send_signal(signal.SIGKILL)
    with _process(short_folder, path):
        assert redeem(path, code)
        with pytest.raises(Unidentified):
            redeem(path, code)


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b"[1]\n",
        b"{}\n",
        b'{"op": "mint"}\n',
        b'{"op": "mint", "sub": 7}\n',
        b'{"op": "mint", "sub": "person:ann", "ttl": 86401}\n',
        b'{"op": "mint", "sub": "person:ann", "ttl": 0}\n',
        b'{"op": "mint", "sub": "person:ann", "ttl": true}\n',
        b'{"op": "mint", "sub": "person:ann", "teams": "weather"}\n',
        b'{"op": "redeem"}\n',
        b'{"op": "steal", "sub": "person:ann"}\n',
    ],
)
def test_bad_requests_get_errors_that_travel(issuer_socket: Path, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(issuer_socket))
        connection.sendall(line)
        answer = connection.makefile("rb").readline()
    assert b'"code": "E011"' in answer


def test_errors_come_back_as_they_were_raised(issuer_socket: Path) -> None:
    with pytest.raises(UsageError):
        ask(issuer_socket, {"op": "mint", "sub": "person:ann", "ttl": -1})


def test_an_issuer_that_is_away_is_said(short_folder: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        mint(short_folder / "nobody.sock", "person:ann")
    assert caught.value.code == "E006"
    assert isinstance(caught.value, TulleError)


@contextlib.contextmanager
def _process(folder: Path, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The issuer in a process of its own, once it answers."""
    program = (
        "import sys; from pathlib import Path; from tulle.utility_plane.issuer import serve;"
        "serve(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], ready=lambda: print('ready', flush=True))"
    )
    command = [sys.executable, "-c", program, str(folder / "issuer"), str(path), MESH]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.wait(10)
        process.communicate()
