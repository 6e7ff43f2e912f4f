"""Every verb of the command line, and the module that holds it. Nothing is imported to list them.

The command line starts quickly because it loads the one module it needs.
"""

from __future__ import annotations

VERBS: dict[str, tuple[str, str, str]] = {
    # verb: (heading, module, what it does)
    "demo": ("A mesh on this machine", "running", "bring up the example mesh on real flights and weather"),
    "up": ("A mesh on this machine", "running", "start the mesh of this folder"),
    "down": ("A mesh on this machine", "running", "stop it"),
    "status": ("A mesh on this machine", "finding", "how every product is, and in a line why nothing happens"),
    "search": ("Find", "finding", "find products by words"),
    "describe": ("Find", "finding", "what a product is, its columns, how to read it"),
    "lineage": ("Find", "finding", "what is made from what"),
    "read": ("Read", "reading", "rows of a port, as of the two times"),
    "sql": ("Read", "reading", "one SELECT over any products"),
    "changes": ("Read", "reading", "what changed since a moment; --follow stays"),
    "history": ("Read", "reading", "every version of a fact, retractions included"),
    "init": ("Build", "building", "make a product that works, from nothing or from your own file"),
    "test": ("Build", "building", "run a product's tests, without a mesh"),
    "run": ("Build", "building", "run a product again"),
    "log": ("Operate", "watching", "what a product published, and when"),
    "logs": ("Operate", "watching", "what its process and code said"),
    "retract": ("Operate", "correcting", "take back facts; whatever was made from them follows"),
    "lift": ("Operate", "correcting", "lift a retraction"),
    "wait": ("Operate", "correcting", "wait until a product has seen a moment of another"),
    "token": ("Operate", "signing", "print a token, or a link that signs a browser in"),
    "explain": ("Operate", "explaining", "what an error code means"),
}


def overview() -> str:
    """What `tulle --help` prints."""
    lines = ["usage: tulle VERB [words] [-o table|json|csv]", "", "A data mesh that runs on your machine."]
    heading = ""
    for verb, (group, _, summary) in VERBS.items():
        if group != heading:
            heading = group
            lines += ["", f"{heading}:"]
        lines.append(f"  {verb:<10}{summary}")
    lines += ["", "tulle VERB --help says more. New here? tulle demo"]
    return "\n".join(lines)
