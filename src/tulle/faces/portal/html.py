"""HTML that is escaped unless it was made here."""

from __future__ import annotations

from html import escape


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | None
_EMPTY = frozenset({"meta", "link", "img", "br", "hr"})


def el(tag: str, *children: Child, **attributes: str | bool | None) -> Html:
    """An element. Children that are not `Html` are escaped; `class_` is written class, `aria_x` aria-x."""
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _EMPTY:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{join(*children)}</{tag}>")


def join(*children: Child) -> Html:
    """Children one after the other."""
    return Html("".join(child if isinstance(child, Html) else escape(child or "") for child in children))


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    word = name.rstrip("_").replace("_", "-")
    return f" {word}" if value is True else f' {word}="{escape(str(value))}"'
