"""Names for the columns of a stranger's file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

RESERVED = ("actual_time", "actual_until", "processing_time")
_LATIN = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "aa", "œ": "oe", "đ": "d", "ł": "l"}
    | {"þ": "th", "ð": "d", "ı": "i", "°": " deg ", "%": " percent ", "€": " eur ", "$": " usd ", "µ": "u"}
    | {"а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ё": "yo", "ж": "zh", "з": "z", "и": "i", "й": "y"}
    | {"к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f"}
    | {"х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu"}
    | {"я": "ya", "α": "a", "β": "b", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k"}
    | {"λ": "l", "μ": "m", "ν": "n", "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t", "υ": "y"}
    | {"φ": "f", "χ": "ch", "ψ": "ps", "ω": "o"}
)


def column_names(header: Sequence[str]) -> list[str]:
    """Our names for the file's columns: lower case, Latin letters, digits and _, each once."""
    names: list[str] = []
    for number, source in enumerate(header, start=1):
        name = _snake(source)
        if not name or name[0].isdigit():
            name = f"column_{name or number}"
        name = f"{name}_given" if name in RESERVED else name
        again = 2
        plain = name
        while name in names:
            name, again = f"{plain}_{again}", again + 1
        names.append(name)
    return names


def _snake(text: str) -> str:
    text = re.sub(r"(?<=[a-z]{2})(?=[A-Z])", "_", unicodedata.normalize("NFC", text)).lower().translate(_LATIN)
    text = unicodedata.normalize("NFKD", text)
    text = "".join(letter for letter in text if not unicodedata.combining(letter)).translate(_LATIN)
    return re.sub(r"[^a-z0-9]+", "_", text).strip("_")
