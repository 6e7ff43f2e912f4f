"""Memory of a family of processes as the kernel shares it out: PSS counts a page shared by four as a quarter each."""

from __future__ import annotations

from pathlib import Path


def family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    parents = {int(folder.name): _parent(folder) for folder in Path("/proc").glob("[0-9]*")}
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def pss_mb(pid: int) -> float:
    """What one process takes, in MB (10^6 bytes); 0 if it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    kilobytes = next((line.split()[1] for line in text.splitlines() if line.startswith("Pss:")), "0")
    return int(kilobytes) * 1024 / 1e6


def title(pid: int) -> str:
    """The process's own name for itself."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "gone"


def _parent(folder: Path) -> int:
    try:
        return int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
