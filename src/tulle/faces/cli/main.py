"""The command line's entry: finds the verb, loads its module, runs it, and says what went wrong, if something did."""

from __future__ import annotations

import sys

from tulle.faces.cli.verbs import overview


def main(argv: list[str] | None = None) -> int:
    """Runs one command and answers with its exit code: see `tulle.errors`."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in {"-h", "--help", "help"}:
        print(overview())
        return 0
    if words[0] in {"-V", "--version", "version"}:
        return _version()
    from tulle.faces.cli.command import run

    try:
        return run(words[0], words[1:])
    except Exception as fault:  # noqa: BLE001 - the last thing that a command does
        return _internal(fault)


def _version() -> int:
    from importlib.metadata import PackageNotFoundError, version

    try:
        print(f"tulle {version('tulle')}")
    except PackageNotFoundError:
        print("tulle, not installed")
    return 0


def _internal(fault: Exception) -> int:
    """A fault of ours: the whole story, since whoever reports it has nothing else to go by."""
    import traceback

    from tulle.errors import TulleError

    traceback.print_exception(fault)
    print(TulleError("E008", f"an internal error: {type(fault).__name__}: {fault}").text(), file=sys.stderr)
    return TulleError.exit_code


if __name__ == "__main__":
    sys.exit(main())
