"""Commits under a quota on the size of files, then without. Run by test_crash.

usage: quota.py FOLDER
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from tests.storage.rows import RUN, open_log, winds, write
from tulle.errors import Unavailable


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")


def main(folder: str) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_log(Path(folder)) as log:
        log.commit(write(0, 10), RUN)
        for size in (100, 0):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
            try:
                log.commit(write(10, 15), RUN)
            except Unavailable as refused:
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
                say(refused.code)
        say(len(winds(log)))
        log.commit(write(10, 15), RUN)
        say(len(winds(log)))


if __name__ == "__main__":
    main(*sys.argv[1:])
