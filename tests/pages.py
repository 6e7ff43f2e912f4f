"""The project's pages as programs: their blocks are taken out, run in order, and compared with what the page says.

A ```console block holds commands after `$ ` and what they print; a here-document is part of its command. In what
is printed `…` stands for anything on a line, a line of only `…` for any lines. A ```python block is run as it is, or,
if it has `>>> `, line by line with its answers compared. `make demo` serves in the background until the page ends.
"""

from __future__ import annotations

import difflib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.demo import ADDRESS, Commands, Served, serve
from tests.waiting import eventually

PRINTED_ADDRESS = "http://127.0.0.1:8765"
"""What pages print, since it is what a reader sees; under test every mesh takes a free port."""

RUN_AS = {"make demo": "tulle demo", "make demo ONCE=1": "tulle demo --once"}
"""What the Makefile makes of a command, once the environment is there."""

NOT_RUN = {
    "make test": "this is it",
    "make bench": "takes minutes, and its figures are the machine's",
}

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEREDOC = re.compile(r"<<-?\s*'?\"?(\w+)")
_DOCTEST = """
import doctest, sys
from tests.pages import as_doctest
text = as_doctest(sys.stdin.read())
test = doctest.DocTestParser().get_doctest(text, {}, sys.argv[1], sys.argv[1], 0)
sys.exit(doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(test).failed)
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Step:
    """A command of a console block, and the lines that it should print."""

    command: str
    expected: str


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for match in _FENCE.finditer(text):
        yield Block(match[1], match[2], text.count("\n", 0, match.start()) + 1)


def steps(block: Block) -> Iterator[Step]:
    """The block's commands in order. Lines before the first `$ ` are refused: nothing would check them."""
    lines = block.text.splitlines()
    assert lines[0].startswith("$ "), f"line {block.line}: a console block begins with a command"
    while lines:
        command = lines.pop(0).removeprefix("$ ")
        end = _HEREDOC.search(command)
        while command.endswith("\\") or (end and lines and command.splitlines()[-1] != end[1]):
            command += "\n" + lines.pop(0)
        expected = []
        while lines and not lines[0].startswith("$ "):
            expected.append(lines.pop(0))
        yield Step(command, "\n".join(expected))


def matches(expected: str, printed: str) -> bool:
    lines = [line.rstrip() for line in expected.rstrip().splitlines()]
    parts = [r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*?") + "\n" for line in lines]
    return re.fullmatch("".join(parts), _plain(printed)) is not None


def as_doctest(text: str) -> str:
    """The page's `…` as doctest writes it."""
    return text.replace("…", "...")


@dataclass
class Reader:
    """Somebody who reads a page and types what it says, in a folder and a mesh of their own."""

    commands: Commands
    serving: list[Served] = field(default_factory=list)
    address: str = PRINTED_ADDRESS

    def __post_init__(self) -> None:
        self._log = self.commands.folder / "shell.out"
        with self._log.open("wb") as out:
            self._shell = subprocess.Popen(
                ["bash", "--noprofile", "--norc"],
                cwd=self.commands.folder,
                env=self.commands.environment(),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def read(self, block: Block) -> None:
        """Does what the block says. Fails where something else comes of it."""
        if block.language == "console":
            for step in steps(block):
                self._type(step, block)
        elif block.language == "python":
            self._python(block)

    def close(self) -> None:
        """Ends what was started; a mesh that went on in the background is stopped as a user stops it."""
        for served in self.serving:
            assert served.stop() == 0, served.said()
        self._say("tulle down")
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(30)

    def _type(self, step: Step, block: Block) -> None:
        first = step.command.splitlines()[0]
        if any(first.startswith(words) for words in NOT_RUN):
            return
        command = RUN_AS.get(first, step.command)
        if shlex.split(command.splitlines()[0])[:2] in (["tulle", "up"], ["tulle", "demo"]):
            command += " --port 0"
        if command == "tulle demo --port 0":
            self._serve(step, block)
            return
        code, printed = self._say(command.replace(PRINTED_ADDRESS, self.address))
        self._check(step, block, printed)
        assert code == 0 or "error[" in printed, f"line {block.line}: {first} exited {code}\n{printed}"

    def _serve(self, step: Step, block: Block) -> None:
        served = serve(self.commands, "demo", "--port", "0")
        self.serving.append(served)
        served.wait_for(ADDRESS.search, 150, f"line {block.line}: an address was printed")
        eventually(lambda: matches(step.expected, self._shown(served.said())) or served.said().endswith("\n"), 20)
        self._check(step, block, served.said())

    def _say(self, command: str) -> tuple[int, str]:
        """Types a command, waits until it has ended; its exit code and what it printed."""
        begin = self._log.stat().st_size
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n--ended %s\\n' $?\n")
        self._shell.stdin.flush()
        text = eventually(lambda: self._ended(begin), 150, f"{command} ended")
        printed, _, code = text.rpartition("\n--ended ")
        return int(code), printed

    def _ended(self, begin: int) -> str:
        text = self._log.read_bytes()[begin:].decode(errors="replace")
        return text if re.search(r"\n--ended \d+\n$", text) else ""

    def _check(self, step: Step, block: Block, printed: str) -> None:
        shown = self._shown(printed)
        if matches(step.expected, shown):
            return
        differs = difflib.unified_diff(
            step.expected.splitlines(), _plain(shown).splitlines(), "page", "printed", "", "", 99
        )
        raise AssertionError(f"line {block.line}: $ {step.command}\n" + "\n".join(differs))

    def _shown(self, printed: str) -> str:
        found = ADDRESS.search(printed)
        if found and self.address == PRINTED_ADDRESS:
            self.address = found.group()
        return printed.replace(self.address, PRINTED_ADDRESS)

    def _python(self, block: Block) -> None:
        text = block.text.replace(PRINTED_ADDRESS, self.address)
        line_by_line = ["-c", _DOCTEST, f"line {block.line}"]
        done = subprocess.run(
            [sys.executable, *(line_by_line if ">>> " in text else ["-"])],
            cwd=self.commands.folder,
            env=self.commands.environment() | {"PYTHONPATH": str(Path(__file__).parent.parent)},
            input=text,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, f"line {block.line}:\n{done.stdout}{done.stderr}"


def _plain(printed: str) -> str:
    """Without colours and what is invisible at the end of lines; always ends in one line end unless empty."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", printed)
    text = "\n".join(line.rstrip() for line in text.rstrip().splitlines())
    return f"{text}\n" if text else ""
