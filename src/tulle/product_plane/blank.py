"""The product that `tulle init` writes when it is given no file: a small CSV, one SQL file, one test."""

from __future__ import annotations

from tulle.uris import ProductName

FILE = "first.csv"
DATA = """\
id,said,said_at
1,hello,2026-01-01T09:00:00Z
2,hello mesh,2026-01-01T10:00:00Z
"""

MANIFEST_TEXT = """\
product: {name}
archetype: source-aligned
team: {domain}
purpose: Says hello, until you say what it is for.
inputs:
  files: # CSV files that are put into the folder drop are taken in, each once
    folder: drop
    pattern: "*.csv"
    format:
      csv:
        columns: {{id: int64, said: string, said_at: timestamp}}
transform: {{sql: transform.sql}}
outputs:
  rows:
    version: 1.0.0
    facts: events
    key: [id] # with actual_time it tells the facts apart
    actual_time: said_at
    columns:
      - {{name: id, type: int64, meaning: Number of the greeting}}
      - {{name: said, type: string, meaning: What was said}}
      - {{name: words, type: int64, unit: words, meaning: How many words it has}}
      - {{name: said_at, type: timestamp, meaning: "When it was said, UTC"}}
    expectations:
      - {{rule: words > 0, on_failure: warn}}
readers: ["*"]
"""

SQL = """\
-- Each input is a table under its own name; the rows of this SELECT are the output.
SELECT
    id,
    said,
    len(string_split(said, ' ')) AS words,
    said_at
FROM files
"""

CASES = """\
# Each case gives rows to the inputs and says which rows come out. Run it with: tulle test {name}
cases:
  - name: words are counted
    given:
      files:
        - {{id: 1, said: hello mesh, said_at: 2026-01-01T09:00Z}}
    expect:
      rows:
        - {{id: 1, words: 2, said_at: 2026-01-01T09:00Z}}
"""

README = """\
# {name}

Says hello, until you say what it is for: `product.yaml` declares what it takes and serves, `transform.sql` makes the
one from the other, `tests/cases.yaml` shows by example what should come out.

    tulle test {name}
    tulle read {name}

Put another CSV file into `drop/` and read again.
"""


def texts(name: ProductName) -> dict[str, bytes]:
    """The product's files by name."""
    words = {"name": str(name), "domain": name.domain}
    return {
        "product.yaml": MANIFEST_TEXT.format(**words).encode(),
        "transform.sql": SQL.encode(),
        "tests/cases.yaml": CASES.format(**words).encode(),
        "README.md": README.format(**words).encode(),
    }
