"""Runs the cases in `tests/cases/bitemporal`: commits and what reads then say, in a notation for people.

A line at the margin is a step, the lines below it are its facts, `name day n` (`-` for no value).

    put at MOMENT [for everything | for DAY DAY...]
    retract at MOMENT     stand retracted at MOMENT     lift at MOMENT
    read [in A..B] [as of MOMENT]     state on DAY [as of MOMENT]     history     standing
    [every] change[s] since MOMENT [until MOMENT]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pytest

from tests.storage.model import facts_table, identities_table, rows_of, rows_table
from tulle.storage.columns import INSTANT
from tulle.storage.log import Log
from tulle.storage.shapes import EVERYTHING, Everything, Story, TableShape, Write
from tulle.times import Moment, Period, parse_at, parse_moment

CASES = sorted((Path(__file__).parents[1] / "cases" / "bitemporal").glob("*.txt"))


@dataclass
class Step:
    words: str
    facts: list[list[str]]

    def word(self, name: str) -> str:
        """What follows a word of the step."""
        found = re.search(rf"\b{name} (\S+)", self.words)
        return found[1] if found else ""

    def moment(self, name: str, otherwise: Moment) -> Moment:
        return parse_moment(self.word(name)) if self.word(name) else otherwise


def steps_of(text: str) -> Iterator[Step]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    step: Step | None = None
    for line in lines:
        if not line.startswith(" "):
            if step:
                yield step
            step = Step(line, [])
        else:
            assert step, "a case begins with a step"
            step.facts.append(line.split())
    assert step
    yield step


class Runner:
    """One case over one log; its wall clock says what the case says."""

    def __init__(self, folder: Path, table: Step) -> None:
        kind: Literal["events", "state"] = "state" if table.words.split()[1] == "state" else "events"
        self.shape = TableShape("rows@1", (("name", "VARCHAR"), ("n", "BIGINT")), ("name",), facts=kind)
        self.wall = Moment(0)
        self.log = Log.open(folder, [self.shape], wall=lambda: self.wall)

    def run(self, step: Step) -> None:
        verb = step.words.split()[0]
        commits = {"put": self._put, "retract": self._retract, "stand": self._stand, "lift": self._lift}
        if verb in commits:
            self.wall = step.moment("at", Moment(0))
            commits[verb](step)
        else:
            assert self._say(verb, step) == [" ".join(fact) for fact in step.facts], step.words

    def _put(self, step: Step) -> None:
        facts = {(name, parse_moment(day)): (int(n),) for name, day, n in step.facts}
        self.log.commit({"rows@1": Write(facts_table(self.shape, facts), scope=_scope(step))}, Story("run"))

    def _retract(self, step: Step, *, standing: bool = False) -> None:
        write = Write(facts_table(self.shape, {}), retracts=self._identities(step))
        self.log.commit({"rows@1": write}, Story("retract", standing=standing, who="ada", reason="wrong"))

    def _stand(self, step: Step) -> None:
        self._retract(step, standing=True)

    def _lift(self, step: Step) -> None:
        self.log.lift("rows@1", self._identities(step), Story("lift", who="ada"))

    def _identities(self, step: Step) -> pa.Table:
        return identities_table(self.shape, [(fact[0], parse_moment(fact[1])) for fact in step.facts])

    def _say(self, verb: str, step: Step) -> list[str]:
        moment = step.moment("as of", self.log.published())
        if verb == "read":
            period = parse_at(step.word("in")) if step.word("in") else Period()
            return self._facts(self.log.read("rows@1", moment, period, order=["name", "actual_time"]))
        if verb == "state":
            found = self.log.state("rows@1", moment, parse_moment(step.word("on")))
            return sorted(self._facts(found))
        if verb == "history":
            return self._facts(self.log.history("rows@1"))
        if verb == "standing":
            return [line.removesuffix(" -") for each in self.log.standing() for line in self._facts(each.identities)]
        until = step.moment("until", self.log.published())
        found = self.log.changes("rows@1", parse_moment(step.word("since")), until, every=verb == "every")
        return [_changed(row) for row in rows_of(found)]

    def _facts(self, table: pa.Table) -> list[str]:
        return [_fact(row) for row in rows_of(table)]


def _scope(step: Step) -> tuple[pa.Table, ...] | Everything:
    _, found, words = step.words.partition(" for ")
    if not found:
        return ()
    if words == "everything":
        return EVERYTHING
    days: list[dict[str, Any]] = [{"actual_time": parse_moment(day)} for day in words.split()]
    return (rows_table(days, pa.schema([("actual_time", INSTANT)])),)


def _fact(row: dict[str, Any]) -> str:
    n = row.get("n")
    return f"{row['name']} {str(row['actual_time'])[:10]} {'-' if n is None else n}"


def _changed(row: dict[str, Any]) -> str:
    was = f" was {row['before']['n']}" if row["before"] else ""
    return f"{row['_change']} {_fact(row)}{was}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_case(case: Path, tmp_path: Path) -> None:
    table, *steps = steps_of(case.read_text())
    runner = Runner(tmp_path, table)
    with runner.log:
        for step in steps:
            runner.run(step)


def test_there_are_cases() -> None:
    assert len(CASES) >= 9
