"""Children of a nursery: used once, bounded, reaching nothing; and what their end, or the nursery's, means."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.source import ROOT
from tests.utility_plane import nursed
from tests.waiting import eventually
from tulle.errors import CheckFailed, NotThere, TulleError, Unavailable
from tulle.utility_plane import landlock
from tulle.utility_plane.nursery import Bounds, Nursery
from tulle.utility_plane.processes import host_environment, tree

BOUNDS = Bounds(seconds=20, memory_mb=256)
SHORT = Bounds(seconds=0.5, memory_mb=256)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    started = Nursery.start(nursed.run, nursed.warm)
    yield started
    started.stop()


@pytest.fixture
def own_nursery() -> Iterator[Nursery]:
    started = Nursery.start(nursed.run)
    yield started
    started.stop()


def test_each_job_has_a_child_of_its_own(nursery: Nursery) -> None:
    looks = [nursery.run({"do": "look"}, [], BOUNDS) for _ in range(4)]
    assert len({look["pid"] for look in looks}) == 4
    assert {look["parent"] for look in looks} == {nursery.pid}
    assert len({look["random"] for look in looks}) == 4


def test_a_child_holds_no_secret_and_no_descriptor_but_its_own(nursery: Nursery, tmp_path: Path) -> None:
    os.environ["TULLE_TOKEN"] = "secret"
    try:
        look = nursery.run({"do": "look"}, [], BOUNDS)
    finally:
        del os.environ["TULLE_TOKEN"]
    assert "secret" not in look["environment"].values()
    assert set(look["environment"]) <= {"PATH", "LANG", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"}
    # its input and output, its job and its report
    assert len(look["open"]) == 3 + 2
    assert look["limits"]["CORE"] == 0
    assert look["limits"]["AS"] > 256 << 20
    assert look["limits"]["CPU"] > 20


def test_a_spare_is_warm_and_comes_after_a_job(nursery: Nursery) -> None:
    nursery.run({"do": "look"}, [], BOUNDS)
    spares = eventually(lambda: [pid for pid in tree(nursery.pid) if pid != nursery.pid])
    look = nursery.run({"do": "look"}, [], BOUNDS)
    assert look["warm"]
    assert look["pid"] in spares


def test_an_unused_spare_is_let_go() -> None:
    nursery = Nursery.start(nursed.run, nursed.warm, linger=0.1)
    try:
        nursery.run({"do": "look"}, [], BOUNDS)
        eventually(lambda: tree(nursery.pid) == (nursery.pid,))
        assert nursery.run({"do": "look"}, [], BOUNDS)["pid"]
    finally:
        nursery.stop()


def test_descriptors_arrive_in_order(nursery: Nursery, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"rows")
    with (tmp_path / "in").open("rb") as given, (tmp_path / "out").open("wb") as taken:
        report = nursery.run({"do": "copy"}, [given.fileno(), taken.fileno()], BOUNDS)
    assert report == {"bytes": 4}
    assert (tmp_path / "out").read_bytes() == b"rows"


def test_only_the_named_paths_can_be_read(nursery: Nursery, tmp_path: Path) -> None:
    for name in ("mine", "other"):
        (tmp_path / name).write_text(name)
    bounds = Bounds(20, 256, (tmp_path / "mine",))
    texts = [nursery.run({"do": "read", "path": str(tmp_path / n)}, [], bounds)["text"] for n in ("mine", "other")]
    assert texts == ["mine", None if landlock.available() else "other"]


def test_an_error_crosses_whole(nursery: Nursery) -> None:
    with pytest.raises(NotThere) as raised:
        nursery.run({"do": "raise"}, [], BOUNDS)
    error = raised.value
    assert (error.code, error.where, error.why, error.fix) == ("E404", "here", "because", "look elsewhere")


def test_a_fault_is_told_without_values_and_its_traceback_is_logged(nursery: Nursery, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log, pytest.raises(TulleError) as raised:
        nursery.run({"do": "fault"}, [], BOUNDS, log.fileno())
    assert raised.value.code == "E008"
    assert "a value" not in raised.value.text()
    logged = (tmp_path / "log").read_text()
    assert "what the code said" in logged
    assert "KeyError: 'a value'" in logged


@pytest.mark.parametrize("stubborn", [False, True])
def test_who_overstays_is_killed(nursery: Nursery, *, stubborn: bool) -> None:
    start = time.monotonic()
    with pytest.raises(CheckFailed, match=r"ran over its 0\.5 s") as raised:
        nursery.run({"do": "hang", "stubborn": stubborn}, [], SHORT)
    assert raised.value.code == "E034"
    assert time.monotonic() - start < SHORT.seconds + 1.5


def test_the_error_of_a_query_has_its_own_code(nursery: Nursery) -> None:
    bounds = Bounds(0.3, 256, code="E204", name="the statement")
    with pytest.raises(CheckFailed, match="the statement ran over") as raised:
        nursery.run({"do": "hang"}, [], bounds)
    assert raised.value.code == "E204"


def test_memory_is_limited(nursery: Nursery) -> None:
    with pytest.raises(CheckFailed, match="more than its 256 MB of memory"):
        nursery.run({"do": "eat"}, [], BOUNDS)


def test_what_a_child_writes_is_limited(nursery: Nursery, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as taken:
        assert nursery.run({"do": "fill"}, [taken.fileno()], BOUNDS) == {"refused": "OSError"}


@pytest.mark.parametrize(("how", "said"), [({}, "ended by SIGKILL"), ({"code": 3}, "by itself, with code 3")])
def test_a_child_that_vanishes_is_the_codes_fault(nursery: Nursery, how: dict[str, int], said: str) -> None:
    with pytest.raises(CheckFailed, match="ended without a result") as raised:
        nursery.run({"do": "vanish", **how}, [], BOUNDS)
    assert said in raised.value.why
    assert nursery.run({"do": "look"}, [], BOUNDS)


def test_a_killed_nursery_is_noticed_and_leaves_nothing(own_nursery: Nursery) -> None:
    own_nursery.run({"do": "look"}, [], BOUNDS)
    family = tree(own_nursery.pid)
    assert own_nursery.alive()
    os.kill(own_nursery.pid, signal.SIGKILL)
    ready, _, _ = select.select([own_nursery], [], [], 10)
    assert ready
    assert not own_nursery.alive()
    with pytest.raises(Unavailable) as raised:
        own_nursery.run({"do": "look"}, [], BOUNDS)
    assert raised.value.code == "E006"
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))


def test_children_and_nursery_end_with_their_container() -> None:
    """The container of this test is single-threaded, so its nursery is a fork of it."""
    command = [sys.executable, "-m", "tests.utility_plane.nursed"]
    container = subprocess.Popen(
        command, cwd=ROOT, env=host_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with container:
        assert container.stdout is not None
        told = json.loads(container.stdout.readline())
        assert {look["parent"] for look in told["looks"]} == {told["nursery"]}
        assert all(len(look["open"]) == 3 + 2 for look in told["looks"])
        family = eventually(lambda: f if len(f := tree(container.pid)) >= 3 else ())
        container.kill()
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), what=f"{family} are gone")


def test_a_round_trip_is_quick(nursery: Nursery) -> None:
    def took() -> float:
        start = time.perf_counter()
        nursery.run({"do": "look"}, [], BOUNDS)
        return time.perf_counter() - start

    assert min(took() for _ in range(10)) < 0.05
