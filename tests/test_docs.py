"""The pages tell the truth: their commands are run, their links lead somewhere, the reference is made from the code."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo import Commands
from tests.pages import Block, Reader, Step, as_doctest, blocks, matches, steps
from tests.source import ROOT
from tulle.errors import CODES
from tulle.formats.manifest import read_manifest

PAGES = sorted([*ROOT.glob("*.md"), *(page for page in ROOT.glob("docs/**/*.md") if "reference" not in page.parts)])
RUN = [page for page in PAGES if any(block.language in ("console", "python") for block in blocks(page))]
ANCHORS = (
    "quickstart",
    "what-you-see",
    "build-a-product",
    "use-a-product",
    "govern",
    "time",
    "errors",
    "engines",
    "benchmarks",
    "limits",
    "data-licences",
)
"""What other pages and people link to in the README."""

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def by_path(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def reader(short_folder: Path) -> Iterator[Reader]:
    reader = Reader(Commands(short_folder))
    yield reader
    reader.close()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", RUN, ids=by_path)
def test_what_a_page_says_is_what_happens(page: Path, reader: Reader) -> None:
    for block in blocks(page):
        reader.read(block)


@pytest.mark.parametrize("page", PAGES, ids=by_path)
def test_links_lead_somewhere(page: Path) -> None:
    lost = [link for link in _LINK.findall(_prose(page)) if not _leads(page, link)]
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=by_path)
def test_manifests_on_a_page_can_be_read(page: Path) -> None:
    for block in blocks(page):
        if block.language == "yaml" and block.text.startswith("product:"):
            read_manifest(block.text, f"{by_path(page)}:{block.line}")


def test_the_readme_keeps_its_anchors() -> None:
    assert set(ANCHORS) <= _anchors(ROOT / "README.md")


def test_the_reference_is_made_from_the_code(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    made = {page.name: page.read_text() for page in tmp_path.glob("*.md")}
    assert set(made) == {"command-line.md", "errors.md", "http.md", "manifest.md", "python.md"}
    assert [code for code in CODES if f"## {code}" not in made["errors.md"]] == []


def test_the_wildcard_stands_for_what_varies_and_no_more() -> None:
    assert matches("a … c\n…\nz", "a b c\nx\ny\nz\n")
    assert matches("…\nz", "z")
    assert not matches("a … c", "a b\nc")
    assert not matches("a", "a\nb")
    assert matches("", "\n")
    assert as_doctest("1 … 2") == "1 ... 2"


def test_a_console_block_is_taken_apart_into_commands_and_what_they_print() -> None:
    text = "$ cat > x <<'END'\n$ not a command\nEND\n$ one \\\n  two\nprinted\n$ three\n"
    assert list(steps(Block("console", text, 1))) == [
        Step("cat > x <<'END'\n$ not a command\nEND", ""),
        Step("one \\\n  two", "printed"),
        Step("three", ""),
    ]


def test_a_reader_types_everything_into_one_shell_and_notices_what_differs(reader: Reader) -> None:
    reader.read(
        Block(
            "console", "$ there=$(pwd) && mkdir a && cd a\n$ cat > b <<'END'\nx\nEND\n$ cat b; ls $there/a\nx\n…\n", 1
        )
    )
    reader.read(Block("python", ">>> from pathlib import Path\n>>> Path('a/b').read_text()\n'…'\n", 1))
    with pytest.raises(AssertionError, match=r"line 7: \$ echo no"):
        reader.read(Block("console", "$ echo no\nyes\n", 7))
    with pytest.raises(AssertionError, match="exited 3"):
        reader.read(Block("console", "$ (exit 3)\n", 9))
    with pytest.raises(AssertionError, match="Expected"):
        reader.read(Block("python", ">>> 1 + 1\n3\n", 1))


def _prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def _leads(page: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if "reference" in target.parts and not target.exists():
        return target.name in ("command-line.md", "errors.md", "http.md", "manifest.md", "python.md", "reference")
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}
