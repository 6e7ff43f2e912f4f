"""When a file counts, and what is kept of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tulle.container.intake import DropFolder
from tulle.product.manifest import FileFormat, FileInput


@pytest.fixture
def drop(tmp_path: Path) -> DropFolder:
    port = FileInput("files", "drop", FileFormat(), pattern="*.csv")
    return DropFolder(port, tmp_path / "drop", tmp_path / "intake")


def aged(file: Path, seconds: float) -> Path:
    then = time.time() - seconds
    os.utime(file, (then, then))
    return file


def test_a_file_that_has_been_quiet_counts_and_its_bytes_are_kept(drop: DropFolder) -> None:
    (drop.folder / "a.csv").write_text("x\n1\n")
    aged(drop.folder / "a.csv", 1)
    ready, again = drop.ready()
    assert [(a.name, a.file.read_text()) for a in ready] == [("a.csv", "x\n1\n")]
    assert again is None
    assert drop.ready() == ([], None)


def test_a_file_still_being_written_is_waited_for(drop: DropFolder) -> None:
    (drop.folder / "a.csv").write_text("x\n1")
    ready, again = drop.ready()
    assert ready == []
    assert again is not None
    assert 0 < again < 0.31


def test_a_file_that_changes_while_it_is_waited_for_is_waited_for_again(drop: DropFolder) -> None:
    file = drop.folder / "a.csv"
    file.write_text("x\n")
    drop.ready()
    file.write_text("x\n1\n2\n")
    ready, again = drop.ready()
    assert ready == []
    assert again is not None


def test_a_file_renamed_in_counts_at_once(drop: DropFolder) -> None:
    (drop.folder / "a.part").write_text("x\n1\n")
    (drop.folder / "a.part").rename(drop.folder / "a.csv")
    drop.renamed_in("a.csv")
    assert [a.name for a in drop.ready()[0]] == ["a.csv"]


@pytest.mark.parametrize("name", [".a.csv", "a.csv.tmp", "a.csv.part", "a.txt"])
def test_some_names_never_count(drop: DropFolder, name: str) -> None:
    (drop.folder / name).write_text("x\n1\n")
    aged(drop.folder / name, 5)
    assert drop.ready() == ([], None)


def test_files_come_in_order_of_name(drop: DropFolder) -> None:
    for name in ("b.csv", "a.csv", "c.csv"):
        (drop.folder / name).write_text(name)
        aged(drop.folder / name, 5)
    assert [a.name for a in drop.ready()[0]] == ["a.csv", "b.csv", "c.csv"]


def test_a_file_with_a_date_in_the_future_counts_once_it_is_quiet(drop: DropFolder) -> None:
    (drop.folder / "a.csv").write_text("x\n")
    aged(drop.folder / "a.csv", -3600)
    ready, again = drop.ready()
    assert ready == []
    assert again is not None
    assert again < 0.31


def test_bytes_kept_but_never_published_are_found_again(drop: DropFolder, tmp_path: Path) -> None:
    (drop.folder / "a.csv").write_text("x\n1\n")
    aged(drop.folder / "a.csv", 5)
    kept = drop.ready()[0][0]
    (drop.folder / "a.csv").unlink()
    after_a_crash = DropFolder(drop.port, drop.folder, tmp_path / "intake")
    assert [a.sha256 for a in after_a_crash.recover([])] == [kept.sha256]
    assert after_a_crash.recover([kept.sha256]) == []


def test_a_file_does_not_overtake_an_earlier_one_that_is_not_known_to_be_whole(drop: DropFolder) -> None:
    (drop.folder / "a.csv").write_text("x\n1\n")
    for name in ("b", "c"):
        (drop.folder / f"{name}.part").write_text("x\n1\n2\n")
        (drop.folder / f"{name}.part").rename(drop.folder / f"{name}.csv")
        drop.renamed_in(f"{name}.csv")
    aged(drop.folder / "c.csv", 60)
    assert [a.name for a in drop.ready()[0]] == ["c.csv"]
    aged(drop.folder / "a.csv", 1)
    assert [a.name for a in drop.ready()[0]] == ["a.csv", "b.csv"]


def test_a_file_is_the_same_only_until_somebody_puts_it_there_again(drop: DropFolder) -> None:
    file = drop.folder / "a.csv"
    file.write_text("x\n1\n")
    aged(file, 1)
    ((first,), _) = drop.ready()
    later = DropFolder(drop.port, drop.folder, drop.folder.parent / "intake")
    ((seen_again,), _) = later.ready()
    assert seen_again.same_file(first.cursor())
    (drop.folder / "a.part").write_text("x\n1\n")
    (drop.folder / "a.part").rename(file)
    aged(file, 2)
    ((put_again,), _) = drop.ready()
    assert put_again.sha256 == first.sha256
    assert not put_again.same_file(first.cursor())
