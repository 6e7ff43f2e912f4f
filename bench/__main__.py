"""Runs the benchmarks: `python -m bench [WORD] [--json FILE]`.

WORD is a module of this folder (`mesh`), a benchmark's name, or a part of one; without it all are run. A module takes
part by having a tuple `BENCHES`. Exits 0 whatever the figures are: a figure that is short is for people to weigh.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import bench
from bench.bars import Bar, Bench


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what was promised.")
    parser.add_argument("only", nargs="?", default="", help="a module, a benchmark, or part of a name")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()
    chosen = [found for module, found in _all() if options.only in (module, "") or options.only in found.name]
    if not chosen:
        names = ", ".join(found.name for _, found in _all())
        print(f'error: no benchmark "{options.only}"; there are: {names}', file=sys.stderr)
        return 2
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, load {os.getloadavg()[0]:.1f}")
    bars = [bar for found in chosen for bar in _shown(found)]
    if options.json:
        options.json.write_text(json.dumps([asdict(bar) | {"verdict": bar.verdict} for bar in bars], indent=1) + "\n")
    return 0


def _all() -> Iterator[tuple[str, Bench]]:
    for info in pkgutil.iter_modules(bench.__path__):
        if info.name != "__main__":
            module = importlib.import_module(f"bench.{info.name}")
            yield from ((info.name, found) for found in getattr(module, "BENCHES", ()))


def _shown(found: Bench) -> Iterator[Bar]:
    for bar in found.run():
        print(bar.line(), flush=True)
        for line in bar.detail:
            print(f"    {line}", flush=True)
        yield bar


if __name__ == "__main__":
    sys.exit(main())
