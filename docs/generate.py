"""Writes docs/reference from the code: `make docs`. The pages are not committed, so they can never be stale."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tulle
from tulle.errors import CODES, KINDS
from tulle.faces.cli.verbs import VERBS
from tulle.formats.openapi import openapi
from tulle.formats.routes import FRONT_ROUTES, ROUTES
from tulle.product import manifest

REFERENCE = Path(__file__).parent / "reference"
MADE = "<!-- made by `make docs`; change the code instead -->\n"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"errors": errors, "command-line": command_line, "manifest": manifest_keys, "python": python, "http": http}
    for name, page in pages.items():
        path = folder / f"{name}.md"
        path.write_text(MADE + "\n".join(page()) + "\n")
        print(path)


def errors() -> Iterator[str]:
    yield "# Errors\n"
    yield "Every error says what, where, why and how to mend it. `tulle explain CODE` prints the same in a terminal.\n"
    yield "| kind | exit code | HTTP status |\n| --- | --- | --- |"
    yield from (f"| {name} | {kind.exit_code} | {kind.http_status} |" for name, kind in KINDS.items())
    for code, explanation in sorted(CODES.items()):
        yield f"\n## {code}\n\n**{explanation.title}.** {explanation.text}"


def command_line() -> Iterator[str]:
    yield "# Command line\n"
    yield f"```text\n{_help()}\n```"
    for verb in VERBS:
        yield f"\n## tulle {verb}\n\n```text\n{_help(verb)}\n```"


def manifest_keys() -> Iterator[str]:
    """The values that a manifest becomes, which are what its keys mean."""
    yield "# The manifest, product.yaml\n"
    yield "Column types: " + ", ".join(f"`{name}` ({sql})" for name, sql in manifest.TYPES.items()) + "\n"
    known = (kind for _, kind in inspect.getmembers(manifest, dataclasses.is_dataclass))
    kinds = [kind for kind in known if isinstance(kind, type) and kind.__module__ == manifest.__name__]
    for kind in sorted(kinds, key=lambda kind: inspect.getsourcelines(kind)[1], reverse=True):
        yield f"\n## {kind.__name__}\n\n{inspect.getdoc(kind)}\n"
        yield "| part | type | default |\n| --- | --- | --- |"
        for field in dataclasses.fields(kind):
            default = "" if field.default is dataclasses.MISSING else f"`{field.default!r}`"
            yield f"| `{field.name}` | `{str(field.type).replace('|', 'or')}` | {default} |"


def python() -> Iterator[str]:
    yield "# Python\n\n`import tulle`\n"
    for name in sorted(tulle.__all__):
        thing = getattr(tulle, name)
        yield f"\n## {name}\n\n```python\n{name}{_signature(thing)}\n```\n\n{inspect.getdoc(thing) or ''}"
        if inspect.isclass(thing):
            yield from _members(name, thing)


def http() -> Iterator[str]:
    yield "# HTTP\n\nThe same as `/openapi.json` of a running mesh.\n"
    document: Mapping[str, Any] = openapi((*ROUTES, *FRONT_ROUTES), "a mesh", "http://127.0.0.1:8765")
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            yield f"\n## {method.upper()} {path}\n\n{route.get('summary', '')}\n"
            parameters = route.get("parameters", ())
            if parameters:
                yield "| parameter | in | meaning |\n| --- | --- | --- |"
                yield from (
                    f"| `{each['name']}` | {each['in']} | {each.get('description', '')} |" for each in parameters
                )


def _members(owner: str, kind: type) -> Iterator[str]:
    for name, member in inspect.getmembers(kind):
        own = any(name in vars(base) for base in kind.__mro__[:-1])
        if (
            own
            and not name.startswith("_")
            and inspect.getdoc(member)
            and (callable(member) or isinstance(member, property))
        ):
            yield f"\n### {owner}.{name}{'' if isinstance(member, property) else _signature(member)}\n"
            yield inspect.getdoc(member) or ""


def _signature(thing: Any) -> str:
    try:
        return str(inspect.signature(thing))
    except (TypeError, ValueError):
        return ""


def _help(*verb: str) -> str:
    command = [sys.executable, "-m", "tulle.faces.cli.main", *verb, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE)
