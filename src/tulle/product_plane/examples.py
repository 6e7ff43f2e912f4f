"""Where the examples lie: inside an installed package, or beside the source."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from tulle.errors import NotThere, nearest

_PACKAGE = Path(__file__).resolve().parents[1]
_PLACES = (_PACKAGE / "_examples", _PACKAGE.parents[1] / "examples")


def example_folder(name: str) -> Path:
    """The folder of an example: its `tulle.yaml` and products. Raises `NotThere` E404 if there is none of that name."""
    for place in _PLACES:
        if (place / name / "tulle.yaml").is_file():
            return place / name
    known = sorted({file.parent.name for place in _PLACES for file in place.glob("*/tulle.yaml")})
    hint = nearest(name, known) or f"There are: {', '.join(known) or 'none in this installation'}"
    raise NotThere("E404", f'no example "{name}"', why=hint)


def example_module(name: str, module: str) -> ModuleType:
    """A Python file of an example, as `load` of `flights`, which brings its data."""
    file = example_folder(name) / f"{module}.py"
    spec = importlib.util.spec_from_file_location(f"tulle_example_{name}_{module}", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise NotThere("E404", f"the example {name} has no {module}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded
