"""A commit is whole or was not, wherever the process ends and whatever the disk refuses."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.storage.model import oracle, rows_of
from tests.storage.rows import RUN, SHAPE, START, hours, open_log, winds, write
from tulle.errors import TulleError, Unavailable
from tulle.storage import disk
from tulle.storage.log import Log
from tulle.storage.shapes import Write
from tulle.times import Moment

ROOT = Path(__file__).parents[2]
BEFORE = [10.0] * 5 + [11.0] + [10.0] * 4
AFTER = [10.0] * 5 + [12.0] * 15


def _run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    command = [sys.executable, str(Path(__file__).with_name(script)), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_a_process_that_ends_at_any_step_leaves_a_whole_commit_or_none(tmp_path: Path) -> None:
    ended = _run("crash.py", str(tmp_path), "20")
    told = ended.stdout.split("\n")[:-1]
    assert told, ended.stderr
    for number in range(len(told)):
        folder, published = tmp_path / str(number), "entry published" in told[: number + 1]
        with open_log(folder) as log:
            assert winds(log) == (AFTER if published else BEFORE)
            assert log.read("early@2", log.published()).num_rows == (3 if published else 0)
            named = {f.path for entry in log.entries() for f in entry.tables["rows@1"].files}
            table = folder / "tables" / "rows@1"
            assert {str(path.relative_to(table)) for path in table.glob("_layer=*/*")} == named
            assert not list(folder.rglob(f"*{disk.TEMPORARY}"))
            assert {Path(uri).name for uri in DeltaTable(table).file_uris()} == {Path(path).name for path in named}
            assert log.commit(write(30, 31, wind=1.0), RUN).seq == (4 if published else 3)
            assert oracle(folder, SHAPE, log.published()).keys() == {("EWR", hour) for hour in _hours(log)}
    assert told[-1] == "whole"
    steps = {"resolved", "file rows@1 new", "file rows@1 fix", "file early@2 new", "files synced", "entry published"}
    assert steps | {"delta rows@1", "delta early@2"} <= set(told)


def _hours(log: Log) -> list[Moment]:
    return [row["actual_time"] for row in rows_of(log.read("rows@1", log.published()))]


class Refuses:
    """A step at which the disk turns out to be full, once."""

    def __init__(self, at: str, number: int = errno.ENOSPC) -> None:
        self._at, self._number, self.armed = at, number, False

    def __call__(self, step: str) -> None:
        if self.armed and step == self._at:
            self.armed = False
            raise OSError(self._number, os.strerror(self._number))


@pytest.mark.parametrize("step", ["resolved", "file rows@1 new", "file rows@1 fix", "files synced"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_publishes_nothing_and_the_log_goes_on(tmp_path: Path, step: str, number: int) -> None:
    refuses = Refuses(step, number)
    with open_log(tmp_path, steps=refuses) as log:
        log.commit(write(0, 10), RUN)
        refuses.armed = True
        with pytest.raises(Unavailable) as refused:
            log.commit(write(5, 20, wind=12.0), RUN)
        assert refused.value.code == "E004"
        assert refused.value.retryable
        assert winds(log) == [10.0] * 10
        assert len(list(tmp_path.glob("tables/rows@1/_layer=*/*"))) == 1
        log.close_until(log.safe())
        log.commit(write(5, 20, wind=12.0), RUN)
        assert winds(log) == [10.0] * 5 + [12.0] * 15


def test_files_larger_than_the_quota_are_refused_as_a_full_disk(tmp_path: Path) -> None:
    ended = _run("quota.py", str(tmp_path))
    assert ended.stdout.split() == ["E004", "E004", "10", "15"], ended.stderr


def test_a_delta_log_that_the_disk_refused_is_made_up_for(tmp_path: Path) -> None:
    table = tmp_path / "tables" / "rows@1"
    with open_log(tmp_path) as log:
        log.commit(write(0, 10), RUN)
        shutil.move(table / "_delta_log", tmp_path / "away")
        (table / "_delta_log").write_text("in the way")
        log.commit(write(10, 12), RUN)
        assert len(winds(log)) == 12
        (table / "_delta_log").unlink()
        shutil.move(tmp_path / "away", table / "_delta_log")
        log.commit(write(12, 13), RUN)
    assert DeltaTable(table).version() == 3


def test_a_damaged_ledger_is_not_opened(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        for hour in range(3):
            log.commit(write(hour, hour + 1), RUN)
    second = tmp_path / "ledger" / "000000000002.json"
    whole = second.read_text()
    second.write_text(whole.replace('"inserted": 1', '"inserted": 2'))
    with pytest.raises(TulleError, match="ledger") as damaged:
        open_log(tmp_path)
    assert damaged.value.code == "E009"
    second.unlink()
    with pytest.raises(TulleError, match="ledger"):
        open_log(tmp_path)
    second.write_text(whole)
    with open_log(tmp_path) as log:
        assert len(winds(log)) == 3


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        with pytest.raises(TulleError) as refused:
            open_log(tmp_path)
        assert refused.value.code == "E002"
        log.commit({"rows@1": Write(hours(0, 1))}, RUN)
    with open_log(tmp_path) as log:
        assert log.published() == START
