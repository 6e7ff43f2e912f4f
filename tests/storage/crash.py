"""Makes three commits and ends at some step of the third, as a killed process does: at each in turn. Run by test_crash.

usage: crash.py FOLDER MOST-STEPS
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.storage.rows import RUN, hours, open_log, write
from tulle.storage.shapes import Write


class Ends:
    """Counts the steps once it is armed, and ends the process at the one that was asked for."""

    def __init__(self, at: int) -> None:
        self.armed, self._left = False, at

    def __call__(self, step: str) -> None:
        if self.armed and self._left == 0:
            os.write(1, f"{step}\n".encode())
            os._exit(9)
        self._left -= self.armed


def commit_and_end(folder: Path, at: int) -> None:
    ends = Ends(at)
    with open_log(folder, steps=ends) as log:
        log.commit(write(0, 10), RUN)
        log.commit(write(5, 6, wind=11.0), RUN)
        ends.armed = True
        log.commit({"rows@1": Write(hours(5, 20, wind=12.0)), "early@2": Write(hours(0, 3))}, RUN)
    os.write(1, b"whole\n")
    os._exit(0)


def main(folder: str, most: str) -> None:
    hours(0, 1)  # loads what is loaded late, so that no child has to
    for number in range(int(most)):
        child = os.fork()
        if not child:
            commit_and_end(Path(folder) / str(number), number)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
