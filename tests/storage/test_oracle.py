"""Whatever is committed, in whatever order, each read equals two slow opinions: a model and the QUALIFY oracle."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.storage.model import (
    Belief,
    Facts,
    Identity,
    Model,
    facts_of,
    facts_table,
    identities_table,
    in_force,
    oracle,
    rows_of,
    told,
)
from tulle.storage.log import Log
from tulle.storage.shapes import EVERYTHING, Entry, Everything, Story, TableShape, Write
from tulle.times import Moment, Period

COLUMNS = (("name", "VARCHAR"), ("n", "BIGINT"), ("part", "VARCHAR"), ("share", "DOUBLE"))
EVENTS = TableShape("rows@1", COLUMNS, ("name",))
STATE = TableShape("rows@1", COLUMNS, ("name",), facts="state")
WINDOWS = TableShape("rows@1", COLUMNS, ("name",), windows=True)
STATE_WINDOWS = TableShape("rows@1", COLUMNS, ("name",), facts="state", windows=True)
DAY = 86_400_000_000
DAYS = [Moment(day * DAY) for day in (-400, 0, 1, 2, 3)]

names = st.sampled_from(["a", "b", "c'd"])
days = st.sampled_from(DAYS)
values = st.tuples(
    st.sampled_from([None, 1, 2]), st.sampled_from([None, "x", "y"]), st.sampled_from([None, 0.5, float("nan")])
)
pick = st.integers(0, 1000)


class Wall:
    """A wall clock that tests turn."""

    def __init__(self) -> None:
        self.now = Moment(1_628_730_000_000_000)

    def __call__(self) -> Moment:
        self.now = self.now.plus(1000)
        return self.now


class Commits(RuleBasedStateMachine):
    shape = EVENTS

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tulle-"))
        self.wall, self.model = Wall(), Model()
        self.log = Log.open(self.folder, [self.shape], wall=self.wall)

    def teardown(self) -> None:
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def identity(self, name: str, day: Moment, length: int) -> Identity:
        if not self.shape.windows:
            return (name, day)
        return (name, day, None if length == 0 else day.plus(length * DAY))

    def facts(self, drawn: list[tuple[str, Moment, int, tuple[Any, ...]]]) -> Facts:
        return {self.identity(name, day, length): held for name, day, length, held in drawn}

    drawn = st.lists(st.tuples(names, days, st.integers(0, 2), values), max_size=6)

    def chosen(self, places: list[int]) -> list[Identity]:
        known = sorted(self.model.beliefs, key=str)
        return list(dict.fromkeys(known[place % len(known)] for place in places)) if known else []

    def take_in(self, entry: Entry, changed: list[tuple[Identity, Belief]]) -> None:
        assert not self.model.past or entry.processing_time > self.model.past[-1][0]
        tally, before = entry.tables["rows@1"], self.model.live()
        kept = [fact for fact, belief in changed if belief.values is not None]
        assert tally.retracted == len(changed) - len(kept)
        assert tally.corrected == sum(fact in before for fact in kept)
        assert tally.inserted == sum(fact not in before for fact in kept)
        self.model.commit(entry.processing_time, changed)

    @rule(drawn=drawn)
    def put(self, drawn: list[tuple[str, Moment, int, tuple[Any, ...]]]) -> None:
        facts = self.facts(drawn)
        changed = self.model.put(facts)
        entry = self.log.commit({"rows@1": Write(facts_table(self.shape, facts))}, Story("run"))
        self.take_in(entry, changed)
        assert entry.tables["rows@1"].unchanged == len(facts) - len(changed)

    @rule(drawn=drawn, how=st.integers(0, 4), places=st.lists(pick, max_size=2), parts=st.lists(values, max_size=2))
    def replace(
        self,
        drawn: list[tuple[str, Moment, int, tuple[Any, ...]]],
        how: int,
        places: list[int],
        parts: list[tuple[Any, ...]],
    ) -> None:
        """A scope by everything, by name, by name and actual time, by values, by two parts."""
        facts, kept = self.facts(drawn), self.chosen(places)
        scope, covers = self.scope(how, [part[1] for part in parts])
        gone = [f for f, held in self.model.live().items() if covers(f, held) and f not in facts and f not in kept]
        changed = self.model.put(facts) + self.model.take(gone, standing=False)
        write = Write(facts_table(self.shape, facts), scope=scope, kept=identities_table(self.shape, kept))
        self.take_in(self.log.commit({"rows@1": write}, Story("run")), changed)

    def scope(self, how: int, parts: list[str | None]) -> tuple[tuple[pa.Table, ...] | Everything, Any]:
        by_name = pa.table({"name": pa.array(["a", "b"])})
        by_part = pa.table({"part": pa.array(parts, pa.string())})
        micros = pa.array([DAYS[1].micros, DAYS[2].micros]).cast(pa.timestamp("us", tz="UTC"))
        by_day = pa.table({"name": pa.array(["a", "c'd"]), "actual_time": micros})
        is_day = {("a", DAYS[1]), ("c'd", DAYS[2])}
        return (
            (EVERYTHING, lambda _fact, _held: True),
            ((by_name,), lambda fact, _held: fact[0] in ("a", "b")),
            ((by_day,), lambda fact, _held: fact[:2] in is_day),
            ((by_part,), lambda _fact, held: held[1] in parts),
            ((by_part, by_name), lambda fact, held: held[1] in parts or fact[0] in ("a", "b")),
        )[how]

    @rule(places=st.lists(pick, min_size=1, max_size=3), standing=st.sampled_from(["for now", "standing"]), drawn=drawn)
    def retract(self, places: list[int], standing: str, drawn: list[tuple[str, Moment, int, tuple[Any, ...]]]) -> None:
        """A retraction, and on the way an assertion of something else: a wrong actual time is mended like that."""
        taken, stands = self.chosen(places), standing == "standing"
        facts = {} if stands else {f: held for f, held in self.facts(drawn[:1]).items() if f not in taken}
        changed = self.model.put(facts) + self.model.take(taken, standing=stands)
        write = Write(facts_table(self.shape, facts), retracts=identities_table(self.shape, taken))
        self.take_in(self.log.commit({"rows@1": write}, Story("retract", standing=stands, reason="wrong")), changed)

    @rule(places=st.lists(pick, min_size=1, max_size=3))
    def lift(self, places: list[int]) -> None:
        chosen = self.chosen(places)
        facts: Facts = {}
        for fact in chosen:
            taken = self.model.beliefs[fact].taken
            if taken is not None:
                facts[fact] = taken
        changed = self.model.put(facts, lifting=True)
        self.take_in(self.log.lift("rows@1", identities_table(self.shape, chosen), Story("lift")), changed)

    @rule(places=st.lists(pick, min_size=1, max_size=4))
    def deliver_again(self, places: list[int]) -> None:
        """Old versions come again: some equal what is believed, some what a retraction took away, some neither."""
        old = [version for version in self.model.versions if version.values is not None]
        facts: Facts = {}
        for place in places if old else []:
            version = old[place % len(old)]
            facts[version.identity] = version.values or ()
        changed = self.model.put(facts)
        self.take_in(self.log.commit({"rows@1": Write(facts_table(self.shape, facts))}, Story("run")), changed)

    @rule()
    def reopen(self) -> None:
        self.log.close()
        self.log = Log.open(self.folder, [self.shape], wall=self.wall)

    @rule(back=st.integers(1, 48))
    def set_the_clock_back(self, back: int) -> None:
        self.wall.now = self.wall.now.plus(-back * 3_600_000_000)

    def moment(self, place: int) -> Moment:
        moments = [moment for moment, _ in self.model.past] or [Moment(0)]
        return moments[place % len(moments)].plus(place % 3 - 1)

    @rule(place=pick)
    def read(self, place: int) -> None:
        moment = self.moment(place)
        expected = told(self.model.at(moment))
        assert facts_of(self.shape, rows_of(self.log.read("rows@1", moment))) == expected
        assert oracle(self.folder, self.shape, moment) == expected

    @rule(place=pick, start=st.none() | days, end=st.none() | days)
    def read_a_period(self, place: int, start: Moment | None, end: Moment | None) -> None:
        if self.shape.facts == "state":
            return
        moment, period = self.moment(place), Period(start, end)
        found = facts_of(self.shape, rows_of(self.log.read("rows@1", moment, period)))
        assert found == told({f: held for f, held in self.model.at(moment).items() if overlaps(self.shape, f, period)})

    @rule(place=pick, instant=days, late=st.integers(0, 1))
    def read_a_state(self, place: int, instant: Moment, late: int) -> None:
        moment, instant = self.moment(place), instant.plus(late * DAY // 2)
        found = rows_of(self.log.state("rows@1", moment, instant))
        expected = in_force(self.shape, told(self.model.at(moment)), instant)
        if self.shape.windows:  # several windows of a key that began together: one of them holds
            starts = {fact[:2] for fact in expected}
            assert {tuple(row[name] for name in ("name", "actual_time")) for row in found} == starts
            assert len(found) == len(starts)
        else:
            assert facts_of(self.shape, found) == expected

    @rule(first=pick, second=pick)
    def read_changes(self, first: int, second: int) -> None:
        since, until = sorted((self.moment(first), self.moment(second)))
        before, after = told(self.model.at(since)), told(self.model.at(until))
        words = {
            fact: "insert" if fact not in before else "correct" for fact in after if before.get(fact) != after[fact]
        }
        words |= {fact: "retract" for fact in before if fact not in after}
        rows = rows_of(self.log.changes("rows@1", since, until))
        assert {tuple(row[name] for name in self.shape.identity): row["_change"] for row in rows} == words
        assert len(rows) == len(words)
        for row in rows:
            fact = tuple(row[name] for name in self.shape.identity)
            was = None if row["before"] is None else facts_of(self.shape, [row | row["before"]])[fact]
            assert was == before.get(fact)
            assert row["_change"] == "retract" or facts_of(self.shape, [row])[fact] == after[fact]

    @rule(first=pick, second=pick)
    def read_every_change(self, first: int, second: int) -> None:
        since, until = sorted((self.moment(first), self.moment(second)))
        expected = [each for each in self.model.versions if since < each.moment <= until]
        rows = rows_of(self.log.changes("rows@1", since, until, every=True))
        assert [row["processing_time"] for row in rows] == [each.moment for each in expected]
        found = {(row["processing_time"], *(row[name] for name in self.shape.identity)): row for row in rows}
        for each in expected:
            row = found[(each.moment, *each.identity)]
            assert row["_change"] == each.change
            assert (row["before"] is None) == (each.before is None)

    @rule(name=names)
    def read_history(self, name: str) -> None:
        rows = rows_of(self.log.history("rows@1", [("name", "=", name)]))
        expected = [each for each in self.model.versions if each.identity[0] == name]
        assert len(rows) == len(expected)
        for each in expected:
            later = [v.moment for v in self.model.versions if v.identity == each.identity and v.moment > each.moment]
            mine = [r for r in rows if r["processing_time"] == each.moment]
            row = next(r for r in mine if tuple(r[n] for n in self.shape.identity) == each.identity)
            assert row["superseded_at"] == min(later, default=None)
            assert row["_op"] == (each.values is None)

    @invariant()
    def the_newest_is_right(self) -> None:
        if not hasattr(self, "log") or not self.model.past:
            return
        found = facts_of(self.shape, rows_of(self.log.read("rows@1", self.log.published())))
        assert found == told(self.model.live())

    @rule()
    def standing(self) -> None:
        found = {
            tuple(row[name] for name in self.shape.identity)
            for each in self.log.standing()
            for row in rows_of(each.identities)
        }
        assert found == self.model.standing()


def overlaps(shape: TableShape, fact: Identity, period: Period) -> bool:
    start, end = period.start or Moment(-(10**17)), period.end or Moment(10**17)
    if shape.windows:
        return bool(fact[1] < end and (fact[2] is None or fact[2] > start))
    return bool(start <= fact[1] < end)


@pytest.mark.parametrize("shape", [EVENTS, STATE, WINDOWS, STATE_WINDOWS], ids=["events", "state", "windows", "both"])
def test_reads_equal_the_slow_oracles(shape: TableShape) -> None:
    machine = type("Commits", (Commits,), {"shape": shape})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=10 if shape is EVENTS else 5,
            stateful_step_count=30,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink] if shape is EVENTS else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_scope_does_not_see_values_that_were_corrected_away(tmp_path: Path) -> None:
    """The file of the correction cannot meet the scope, but what it supersedes in other files is gone all the same."""
    before: Facts = {("a", DAYS[1]): (1, "x", None), ("b", DAYS[1]): (1, "x", None)}
    after: Facts = {("a", DAYS[1]): (1, "y", None)}
    with Log.open(tmp_path, [EVENTS]) as log:
        for facts in (before, after):
            log.commit({"rows@1": Write(facts_table(EVENTS, facts))}, Story("run"))
        scope = (pa.table({"part": pa.array(["x"])}),)
        tally = log.commit({"rows@1": Write(facts_table(EVENTS, {}), scope=scope)}, Story("run")).tables["rows@1"]
        assert tally.retracted == 1
        assert facts_of(EVENTS, rows_of(log.read("rows@1", log.published()))) == after
