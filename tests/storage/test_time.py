"""Processing time: above everything issued, consumed or answered for, whatever the clock and the process do."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.storage.rows import OTHER, RUN, SHAPE, START, open_log, winds, write
from tests.waiting import eventually
from tulle.errors import TulleError, UsageError
from tulle.storage.clock import RESERVE
from tulle.storage.log import Log
from tulle.times import AHEAD_ALLOWED, Moment


def test_moments_increase_though_the_clock_stands_still_or_goes_back(tmp_path: Path) -> None:
    wall = [START, START, START.plus(-(10**9)), START.plus(10**6)]
    given = iter(wall)
    with open_log(tmp_path, wall=lambda: next(given)) as log:
        moments = [log.commit(write(hour, hour + 1), RUN).processing_time for hour in range(4)]
    assert moments == [START, START.plus(1), START.plus(2), START.plus(10**6)]


def test_a_moment_is_above_what_was_consumed(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        entry = log.commit(write(0, 1), replace(RUN, above=START.plus(77)))
        assert entry.processing_time == START.plus(78)
    with open_log(tmp_path) as log:
        assert log.commit({}, RUN).processing_time == START.plus(79)


def test_what_was_answered_for_stays_answered_after_a_restart(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        asked = START.plus(AHEAD_ALLOWED)
        log.close_until(asked)
        assert log.safe() == asked
    with open_log(tmp_path) as log:
        assert log.commit(write(0, 1), RUN).processing_time > asked.plus(RESERVE)


def test_commits_after_a_closed_moment_come_above_it_without_the_reserve(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        log.close_until(START)
        assert log.commit(write(0, 1), RUN).processing_time == START.plus(1)


def test_the_future_is_refused(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        with pytest.raises(UsageError) as refused:
            log.close_until(START.plus(AHEAD_ALLOWED + 1))
        assert refused.value.code == "E071"
        entry = log.commit({}, replace(RUN, above=START.plus(10**9)))
        log.close_until(entry.processing_time)


def test_published_moments_are_closed_without_writing(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        log.close_until(log.commit(write(0, 1), RUN).processing_time)
    assert not (tmp_path / "clock").exists()


class Held:
    """A commit that stops once its files are written, until it is let go."""

    def __init__(self) -> None:
        self.there, self.go = threading.Event(), threading.Event()

    def __call__(self, step: str) -> None:
        if step == "files synced":
            self.there.set()
            assert self.go.wait(30)


def test_readers_see_nothing_of_a_commit_in_flight_and_wait_for_one_they_ask_beyond(tmp_path: Path) -> None:
    held = Held()
    with open_log(tmp_path, steps=held) as log:
        committing = threading.Thread(target=log.commit, args=(write(0, 5), RUN))
        committing.start()
        assert held.there.wait(30)
        assert log.safe() == START.plus(-1)
        log.close_until(START.plus(-1))
        assert winds(log) == []
        assert winds(log, START) == []
        answered: list[int] = []

        def ask() -> None:
            log.close_until(START)
            answered.append(len(winds(log, START)))

        asking = threading.Thread(target=ask)
        asking.start()
        assert not answered
        held.go.set()
        committing.join(30)
        asking.join(30)
        assert answered == [5]


def test_threads_read_while_commits_are_made(tmp_path: Path) -> None:
    """Each read is of whole commits: the k-th commit leaves 10 k rows, all with the wind k."""
    stop, wrong, reads = threading.Event(), list[object](), list[int]()

    def read() -> None:
        while not stop.is_set():
            moment = log.published()
            found = winds(log, moment)
            entry = log.at(moment)
            seq = entry.seq if entry else 0
            reads.append(seq)
            if found != [float(seq)] * 10 * seq:
                wrong.append((seq, found))

    with open_log(tmp_path) as log:
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(1, 13):
            log.commit(write(0, 10 * number, wind=float(number)), RUN)
        eventually(lambda: 12 in reads, 30, "a reader has seen the last commit")
        stop.set()
        for thread in threads:
            thread.join(30)
        assert not wrong


def test_a_reader_in_another_log_sees_what_is_published_when_it_looks_again(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        log.commit(write(0, 5), RUN)
        with Log.open(tmp_path, [SHAPE, OTHER], writer=False) as reader:
            assert len(winds(reader)) == 5
            entry = log.commit(write(5, 6), RUN)
            assert len(winds(reader)) == 5
            assert reader.refresh() == entry
            assert len(winds(reader)) == 6
            assert reader.safe() == entry.processing_time
            reader.close_until(Moment(0))
            with pytest.raises(TulleError):
                reader.commit(write(6, 7), RUN)
            with pytest.raises(TulleError):
                reader.close_until(entry.processing_time.plus(1))
