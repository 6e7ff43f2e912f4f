"""One command: its words are parsed by its own module's parser, its errors are printed in the one form."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from tulle.errors import TulleError, UsageError, nearest
from tulle.faces.cli.verbs import VERBS

FORMS = ("table", "json", "csv")
INTERRUPTED = 130

Words = argparse.Namespace
Verb = tuple[Callable[[argparse.ArgumentParser], None], Callable[[Words], int | None]]
"""What a verb's module offers: a function that declares its words, and one that does the work."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors like all others."""

    def error(self, message: str) -> NoReturn:
        raise UsageError("E010", message, why=self._hint(message), fix=f"{self.prog} --help")

    def _hint(self, message: str) -> str:
        known = [option for action in self._actions for option in action.option_strings if option.startswith("--")]
        word = message.rpartition(": ")[2].split(" ")[0].split("=")[0]
        return nearest(word, known) if word.startswith("--") else ""


def run(verb: str, words: Sequence[str]) -> int:
    """Runs `verb` and answers with its exit code. Every error ends here, as text on stderr."""
    try:
        declare, work = _verb(verb)
        parser = Parser(prog=f"tulle {verb}", description=_sentence(VERBS[verb][2]), allow_abbrev=False)
        parser.add_argument("-o", "--output", choices=FORMS, default="table", help="how to print (table)")
        declare(parser)
        with _quiet_when_the_reader_leaves():
            return work(parser.parse_args(words)) or 0
    except TulleError as error:
        print(error.text(), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as leaving:  # --help leaves this way
        return leaving.code if isinstance(leaving.code, int) else 0


def _verb(verb: str) -> Verb:
    if verb not in VERBS:
        why = nearest(verb, VERBS) or f"Verbs: {', '.join(VERBS)}"
        raise UsageError("E010", f'no verb "{verb}"', why=why, fix="tulle --help")
    module = importlib.import_module(f"tulle.faces.cli.{VERBS[verb][1]}")
    found: Verb = module.VERBS[verb]
    return found


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


@contextlib.contextmanager
def _quiet_when_the_reader_leaves() -> Iterator[None]:
    """`tulle read … | head` is no error: what nobody reads any more need not be written."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
