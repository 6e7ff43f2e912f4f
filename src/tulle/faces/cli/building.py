"""`tulle init`, `test`, `run`: making a product, trying it, running it again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tulle.errors import CheckFailed, NotThere, UsageError, nearest
from tulle.faces.cli.asking import declare_address, mesh
from tulle.faces.cli.command import Verb, Words
from tulle.faces.cli.showing import as_json, patience, remark, show, show_facts
from tulle.formats.mesh_file import MESH_FILE, MeshFile, find_root, load_mesh_file, product_folders
from tulle.uris import parse_product

if TYPE_CHECKING:
    from tulle.product_plane.test import Outcome, Ran


def _declare_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("product", help="its name: domain/product")
    parser.add_argument("--source", type=Path, help="a CSV file of your own to make it from")
    parser.add_argument("--folder", type=Path, help="where its files go (products/domain/product)")


def _init(words: Words) -> None:
    from tulle.product_plane.init import apply, plan_init

    name, root, made = parse_product(words.product), find_root(Path.cwd()), None
    mesh_file = load_mesh_file(root) if root else MeshFile()
    folder = words.folder or (root or Path.cwd()) / "products" / name.domain / name.product
    plan = plan_init(name, folder, words.source, mesh_file.drops)
    if root is None:
        made = _new_root(Path.cwd())
    apply(plan)
    if words.output == "json":
        files = [str(path) for path in (*([made] if made else []), *(file.path for file in plan.files))]
        print(as_json({"product": str(name), "files": files, "notes": plan.notes, "next": plan.next_steps}))
        return
    lines = [f"+ {MESH_FILE}"] if made else []
    print("\n".join([*lines, *plan.shown(), *(f"note: {note}" for note in plan.notes)]))
    print("\nnext:")
    print("\n".join(f"  {step}" for step in plan.next_steps))


def _new_root(folder: Path) -> Path:
    """Makes a folder the root of a mesh."""
    file = folder / MESH_FILE
    file.write_text('# The root of a mesh: its products lie below.\nproducts: ["products/*/*"]\n', "utf-8")
    return file


def _declare_test(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("product", nargs="?", help="domain/product or a folder; nothing means all of this mesh")


def _test(words: Words) -> int:
    from tulle.product_plane.test import run_tests

    with patience("running tests"):
        tested = [run_tests(folder) for folder in _folders(words.product)]
    if words.output == "table":
        _print_tested(tested)
    else:
        show(({"product": t.product, **_row(case)} for t in tested for case in t.cases), words.output)
    return 0 if all(one.passed for one in tested) else CheckFailed.exit_code


def _folders(asked: str | None) -> tuple[Path, ...]:
    """The folders of the products that are meant."""
    if asked and (Path(asked) / "product.yaml").is_file():
        return (Path(asked).resolve(),)
    root = find_root(Path.cwd())
    if root is None:
        raise NotThere("E003", f"there is no {MESH_FILE} here or above", fix="tulle init domain/name")
    folders = product_folders(root, load_mesh_file(root).products)
    if asked is None:
        return folders
    known = {"/".join(folder.parts[-2:]): folder for folder in folders}
    name = str(parse_product(asked))
    if name not in known:
        raise NotThere("E404", f'no product "{name}" here', why=nearest(name, known), fix=f"tulle init {name}")
    return (known[name],)


def _print_tested(tested: list[Outcome]) -> None:
    for one in tested:
        for case in one.cases:
            print(f"{'ok  ' if case.passed else 'FAIL'}  {one.product}  {case.name}  ({case.seconds:.2f} s)")
            for line in [*([] if case.passed else [case.where]), *case.message.splitlines()]:
                print(f"      {line}")
            for warning in case.warnings:
                print(f"      warning: {warning}")
        if not one.cases:
            remark(f"{one.product} has no tests")
    count, failed = sum(len(one.cases) for one in tested), sum(len(one.failed) for one in tested)
    print(f"{count - failed} passed, {failed} failed")


def _row(case: Ran) -> dict[str, object]:
    said = {"case": case.name, "passed": case.passed, "seconds": round(case.seconds, 3)}
    return said | {"message": case.message, "warnings": list(case.warnings), "where": case.where}


def _declare_run(parser: argparse.ArgumentParser) -> None:
    declare_address(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--full", action="store_true", help="recompute everything")
    which.add_argument("--parked", action="store_true", help="try the parked batches again")
    which.add_argument("--since", help="go back to the inputs as consumed after this moment")


def _run(words: Words) -> None:
    if not words.address:
        raise UsageError("E010", "which product?", fix="tulle run domain/product")
    with patience(f"running {words.address}"):
        done = mesh().run(words.address, full=words.full, parked=words.parked, since=words.since)
    show_facts(done, words.output)
    if words.output == "table" and not any(done.values()):
        remark("nothing was parked" if words.parked else "nothing to do")


VERBS: dict[str, Verb] = {
    "init": (_declare_init, _init),
    "test": (_declare_test, _test),
    "run": (_declare_run, _run),
}
