"""The command line's entry: finds the verb, loads its module, runs it, and says what went wrong, if something did."""

from __future__ import annotations

import sys

from tulle.faces.cli.verbs import VERBS, overview


def main(argv: list[str] | None = None) -> int:
    """Runs one command and answers with its exit code: see `tulle.errors`."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in {"-h", "--help", "help"}:
        print(overview())
        return 0
    if words[0] in {"-V", "--version", "version"}:
        return _version()
    from tulle.faces.cli.command import run

    return run(words[0], words[1:])


def _version() -> int:
    from importlib.metadata import PackageNotFoundError, version

    try:
        print(f"tulle {version('tulle')}")
    except PackageNotFoundError:
        print("tulle, not installed")
    return 0


__all__ = ["VERBS", "main"]

if __name__ == "__main__":
    sys.exit(main())
