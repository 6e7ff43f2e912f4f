"""`tulle log` and `tulle logs`: what a product published, and what its process and code said."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tulle.faces.cli.asking import declare_address, mesh
from tulle.faces.cli.command import Verb, Words
from tulle.faces.cli.showing import as_json, show, text

_LOOK_AGAIN = 0.5
_TELLING = ("time", "level", "product", "event")


def _declare_log(parser: argparse.ArgumentParser) -> None:
    declare_address(parser)
    parser.add_argument("--limit", type=int, default=20, help="at most so many publications, the newest (20)")


def _log(words: Words) -> None:
    entries = mesh().log(words.address, words.limit)
    if words.output != "table":
        show(entries, words.output)
        return
    for entry in entries:
        print(f"{entry['moment']}  {entry['kind']:<10} {_counted(entry.get('tables', {}))}".rstrip())
        for name in ("who", "reason", "run", "inputs"):
            if entry.get(name):
                print(f"    {name}: {text(entry[name])}")


def _counted(tables: Mapping[str, Mapping[str, int]]) -> str:
    signs = {"inserted": "+", "corrected": "~", "retracted": "-"}
    told = []
    for table, tally in tables.items():
        counts = [f"{sign}{tally[name]:,}" for name, sign in signs.items() if tally.get(name)]
        told.append(f"{table} {' '.join(counts) or 'no change'}")
    return "; ".join(told)


def _declare_logs(parser: argparse.ArgumentParser) -> None:
    declare_address(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="stay, and print what comes")
    parser.add_argument("--limit", type=int, default=50, help="at most so many lines, the newest (50)")


def _logs(words: Words) -> None:
    for line in _lines(words):
        if words.output == "json":
            print(as_json(line, indent=None), flush=words.follow)
        elif words.output == "csv":
            show([line], "csv")
        else:
            more = {name: value for name, value in line.items() if name not in _TELLING}
            print(
                f"{line.get('time')} {line.get('level', 'info'):<7} {line.get('event')} {text(more)}".rstrip(),
                flush=True,
            )


def _lines(words: Words) -> Iterator[Mapping[str, Any]]:
    asked = mesh()
    seen: Sequence[Any] = asked.logs(words.address, words.limit)
    yield from seen
    while words.follow:
        time.sleep(_LOOK_AGAIN)
        newest = asked.logs(words.address, 1_000)
        last = seen[-1] if seen else None
        start = newest.index(last) + 1 if last in newest else 0
        yield from newest[start:]
        seen = newest or seen


VERBS: dict[str, Verb] = {"log": (_declare_log, _log), "logs": (_declare_logs, _logs)}
