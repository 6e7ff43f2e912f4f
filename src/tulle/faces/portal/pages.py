"""The portal's pages, as text: no script, light or dark as the reader likes, everything escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tulle.errors import CODES, TulleError
from tulle.faces.portal.gathered import Known
from tulle.faces.portal.html import Html, el, join

_STATES = {
    "Fresh": "good",
    "Running": "busy",
    "Starting": "busy",
    "Waiting": "busy",
    "Degraded": "poor",
    "Away": "bad",
    "Failed": "bad",
}
_EXAMPLE = "weather/hourly"
_SAMPLE_ROWS = 5


def landing(mesh_id: str, address: str, who: str | None, products: Sequence[Known]) -> str:
    """The page at the printed address."""
    what = el(
        "p",
        "Each team owns its data products; every answer says when it held in the world, when it was told, and what it"
        " was made from.",
        class_="lead",
    )
    title = f"The data mesh {mesh_id}"
    if who is None:
        return _page(title, join(el("h1", title), what, _how_to_sign_in()), None)
    example = next((known for known in products if known.name == _EXAMPLE), products[0] if products else None)
    table = _products(products) if products else _no_products()
    ways = _ways(address, example) if example else None
    return _page(title, join(el("h1", title), what, table, ways, _doors()), who)


def product(address: str, who: str, known: Known) -> str:
    """The page of one product: what it is, its columns, how to read it, a few rows."""
    description = known.description
    outputs = description.get("outputs", [])
    body = join(
        el("h1", known.name),
        el("p", _text(description.get("purpose")), class_="lead"),
        _away(known) if not description else None,
        _facts(known),
        *(_port(output, known.sample.get(str(output.get("port")))) for output in outputs),
        _ways(address, known) if description else None,
    )
    return _page(known.name, body, who)


def explanations(code: str = "") -> str:
    """What one error code means, or all of them."""
    chosen = [code] if code else list(CODES)
    if code:
        body = join(el("h1", f"{code}: {CODES[code].title}"), el("p", CODES[code].text), _link("/explain", "All codes"))
    else:
        entries = (join(el("dt", _link(f"/explain/{c}", c)), el("dd", CODES[c].title)) for c in chosen)
        body = join(el("h1", "Error codes"), el("dl", *entries, class_="facts"))
    return _page(code or "Error codes", body, None)


def error_page(error: TulleError) -> str:
    """An error as a page: what, why, how to mend it."""
    known = error.code in CODES
    code = _link(f"/explain/{error.code}", error.code) if known else Html("")
    body = join(
        el("h1", error.what[:1].upper() + error.what[1:]),
        el("div", *(el("p", line) for line in error.why.splitlines()), class_="note bad") if error.why else None,
        join(el("h2", "How to mend it"), _code(error.fix)) if error.fix else None,
        el("p", "What this means: ", code, class_="quiet") if known else None,
        _how_to_sign_in() if error.http_status == 401 else None,
    )
    return _page(error.what, body, None)


def _page(title: str, body: Html, who: str | None) -> str:
    head = join(
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{title} · Tulle"),
        el("link", rel="icon", href="/favicon.svg", type="image/svg+xml"),
        el("link", rel="stylesheet", href="/style.css"),
    )
    home = el("a", el("img", src="/favicon.svg", alt="", width="28", height="28"), "Tulle", class_="home", href="/")
    links = el("nav", _link("/openapi.json", "HTTP API"), _link("/explain", "Error codes"), aria_label="Mesh")
    signed = el("span", f"signed in as {who}" if who else "not signed in", class_="quiet")
    top = el("header", el("div", home, links, signed, class_="wrap"), class_="top")
    main = el("main", body, id="main", class_="wrap")
    foot = el("footer", el("div", "Served from this machine only.", class_="wrap"))
    skip = el("a", "Skip to content", href="#main", class_="skip")
    return "<!doctype html>\n" + el("html", el("head", head), el("body", skip, top, main, foot), lang="en")


def _how_to_sign_in() -> Html:
    return join(
        el("h2", "Sign in"),
        el("p", "Every request carries an identity. This prints a link that signs this browser in, once:"),
        _code("tulle token --link"),
        el("p", "Programs send a token instead:"),
        _code('curl -H "Authorization: Bearer $(tulle token)" …'),
    )


def _no_products() -> Html:
    return join(el("h2", "Products"), el("p", "There are none yet. Make one:"), _code("tulle init domain/name"))


def _products(products: Sequence[Known]) -> Html:
    rows = [_product_row(known) for known in products]
    heads = ("Product", "Domain", "Purpose", "State", "Last published", "Team")
    return join(el("h2", f"{len(products)} products", id="products"), _table("Products of this mesh", heads, rows))


def _product_row(known: Known) -> Html:
    description, status = known.description, known.status
    reason = _text(status.get("reason"))
    return el(
        "tr",
        el("th", _link(f"/{known.name}", known.name.partition("/")[2]), scope="row"),
        el("td", known.name.partition("/")[0]),
        el("td", _text(description.get("purpose"))),
        el("td", _state(known.state), el("div", reason, class_="quiet") if reason else None, _failing(status)),
        el("td", _moment(status.get("published")), class_="time"),
        el("td", _text(description.get("team"))),
    )


def _facts(known: Known) -> Html:
    description, status = known.description, known.status
    inputs = ", ".join(
        str(port.get("from") or f"files in {port.get('folder')}") for port in description.get("inputs", [])
    )
    facts = {
        "State": join(_state(known.state), " ", el("span", _text(status.get("reason")), class_="quiet")),
        "Checks": join(*(el("div", _text(warning), class_="state poor") for warning in status.get("warnings", []))),
        "Last published": _moment(status.get("published")),
        "Team": _text(description.get("team")),
        "Owner": _text(description.get("owner")),
        "Kind": _text(description.get("archetype")),
        "Made from": inputs,
        "Readers": "everyone signed in" if "*" in (readers := description.get("readers", [])) else ", ".join(readers),
        "Address": _text(description.get("uri")),
    }
    pairs = (join(el("dt", name), el("dd", text)) for name, text in facts.items() if text)
    return el("dl", *pairs, class_="facts")


def _port(output: Mapping[str, Any], sample: Any) -> Html:
    name = str(output.get("port"))
    columns = [
        el(
            "tr",
            el("th", el("code", _text(column.get("name"))), scope="row"),
            el("td", _text(column.get("type"))),
            el("td", _text(column.get("unit"))),
            el("td", _text(column.get("meaning"))),
        )
        for column in output.get("columns", [])
    ]
    key = ", ".join(str(word) for word in output.get("key", []))
    return join(
        el("h2", f"Output port {name}"),
        el("p", _text(output.get("meaning"))),
        el("p", f"Version {_text(output.get('version'))}. A fact is identified by {key} and its actual time."),
        _table(f"Columns of {name}", ("Column", "Type", "Unit", "Meaning"), columns),
        _expectations(output.get("expectations", [])),
        _sample(name, sample),
    )


def _expectations(rules: Sequence[Mapping[str, Any]]) -> Html:
    if not rules:
        return Html("")
    items = (el("li", el("code", _text(rule.get("rule"))), f" else {_text(rule.get('on_failure'))}") for rule in rules)
    return join(el("h3", "What its rows should meet"), el("ul", *items))


def _sample(name: str, sample: Any) -> Html:
    rows = sample.get("rows", []) if isinstance(sample, Mapping) else sample
    if not isinstance(rows, list) or not rows:
        return Html("")
    heads = [str(column) for column in rows[0]]
    lines = [el("tr", *(_cell(row.get(head)) for head in heads)) for row in rows[:_SAMPLE_ROWS]]
    return join(el("h3", "A few rows"), _table(f"A few rows of {name}", heads, lines))


def _cell(value: Any) -> Html:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return el("td", str(value), class_="number")
    return el("td", "" if value is None else str(value))


def _ways(address: str, known: Known) -> Html:
    name, outputs = known.name, known.description.get("outputs", [])
    port = str(outputs[0].get("name", "rows")) if outputs else "rows"
    ways = {
        "Command line": f"tulle describe {name}\ntulle read {name} --limit 5",
        "HTTP": f'curl -H "Authorization: Bearer $(tulle token)" \\\n  "{address}/{name}/{port}.csv?limit=5"',
        "Python": f'import tulle\n\nanswer = tulle.load("{name}")\nprint(answer.moment)\ntable = answer.arrow()',
        "Changes as they come": f"tulle changes {name} --follow",
    }
    blocks = (el("div", el("h3", title), _code(text)) for title, text in ways.items())
    return join(el("h2", f"Read {name}", id="read"), el("div", *blocks, class_="ways"))


def _doors() -> Html:
    text = (
        "as_of asks for what had been told by a moment, at for what held then; leave both out for the latest. Every"
        " product has five ports: discovery, input, output, observability and control, all of them in the "
    )
    return el("p", text, _link("/openapi.json", "OpenAPI description"), ".", class_="quiet")


def _away(known: Known) -> Html:
    return el("div", el("p", f"{known.name} does not answer at the moment; it may be starting."), class_="note bad")


def _table(caption: str, heads: Iterable[str], rows: Iterable[Html]) -> Html:
    head = el("thead", el("tr", *(el("th", text, scope="col") for text in heads)))
    table = el("table", head, el("tbody", *rows), aria_label=caption)
    return el("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _state(state: str) -> Html:
    return el("span", state, class_=f"state {_STATES.get(state, 'busy')}") if state else Html("")


def _failing(status: Mapping[str, Any]) -> Html | None:
    """How many expectations the rows served now do not meet."""
    count = len(status.get("warnings", []))
    return el("div", f"{count} check{'s' * (count > 1)} failing", class_="state poor") if count else None


def _moment(text: Any) -> Html | None:
    """A moment to the second; the whole one stands in its attribute."""
    if not text:
        return None
    whole = str(text)
    return el("time", f"{whole[:10]} {whole[11:19]} UTC", datetime=whole)


def _code(text: str) -> Html:
    return el("pre", el("code", text), tabindex="0")


def _link(address: str, text: str) -> Html:
    return el("a", text, href=address)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
