"""What all tests share: folders of their own, the example mesh, and the promise that nothing is left running."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo import RunningDemo, start_demo
from tests.processes import left_running, mark_this_run
from tests.waiting import eventually


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tulle")
    group.addoption("--kills", type=int, default=8, help="processes that a chaos test kills")
    group.addoption("--chaos-seed", type=int, default=20130212, help="what a chaos test's choices grow from")
    group.addoption("--soak-seconds", type=float, default=10, help="how long a soak test runs the mesh")


def pytest_configure(config: pytest.Config) -> None:
    mark_this_run()
    os.environ.pop("TULLE_MESH", None)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A skipped test is a promise that nobody checked: the run fails, and says which."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and exitstatus == 0:
        reporter.write_line("error: no test may be skipped here; see the list below", red=True)
        session.exitstatus = 1


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    yield
    eventually(lambda: not left_running(), 15, f"all processes of this run have ended: {left_running()}")


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder with a short path, since the path of a Unix socket may have 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="tulle-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def mesh_folder(short_folder: Path) -> Path:
    """The root of an empty mesh: a `tulle.yaml` and no products."""
    (short_folder / "tulle.yaml").write_text("mesh: test.local\nport: 0\n")
    (short_folder / "products").mkdir()
    return short_folder


@pytest.fixture(scope="session")
def running_demo() -> Iterator[RunningDemo]:
    """The example mesh, started by the real command in a folder of its own, loaded. For tests that only read."""
    folder = Path(tempfile.mkdtemp(prefix="tulle-"))
    demo = start_demo(folder)
    yield demo
    code = demo.served.stop()
    said = demo.served.said()
    shutil.rmtree(folder, ignore_errors=True)
    assert code == 0, said


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--kills"))


@pytest.fixture
def chaos_seed(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--chaos-seed"))


@pytest.fixture
def soak_seconds(request: pytest.FixtureRequest) -> float:
    return float(request.config.getoption("--soak-seconds"))
