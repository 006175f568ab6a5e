"""Lab 5: layers that are shared and never change, and one on top that is the container's own.

    python lab05_overlay.py SCRATCH LAYER[:LAYER...] COMMAND [ARGUMENT...]

The layers are given as an image lists them: the bottom one first. SCRATCH is an empty directory. Afterwards the
container's changes are printed as `docker diff` does.
"""

import os
import stat
import sys

from lab01_process import exit_code
from lab02_namespaces import init, spawn
from lab03_mounts import KINDS, isolate, mount_proc
from lab04_root import change_root

from minidock.kernel import overlay
from minidock.steps import Live


def stack(layers: list[str], scratch: str) -> str:
    """In the child: lay the layers over each other, below `scratch`; returns the directory of the merged tree."""
    upper, work, merged = (f"{scratch}/{name}" for name in ("upper", "work", "merged"))
    # lab: begin  mount an overlay on merged. What order do layers have in an image, and what order in lowerdir?
    overlay.MountOverlay(list(reversed(layers)), upper, work, merged).apply(Live())
    # lab: end
    return merged


def changes(layers: list[str], upper: str) -> list[str]:
    """What the container did, one line each, sorted: `A /new`, `C /changed`, `D /deleted`."""
    found = []
    for directory, directories, files in os.walk(upper):
        for name in [*directories, *files]:
            path = os.path.relpath(f"{directory}/{name}", upper)
            facts = os.lstat(f"{upper}/{path}")
            below = any(os.path.lexists(f"{layer}/{path}") for layer in layers)
            # lab: begin  the letter: D for a whiteout (a character device with number 0), C for what is below, too
            whiteout = stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0
            letter = "D" if whiteout else "C" if below else "A"
            # lab: end
            found.append(f"{letter} /{path}")
    return sorted(found, key=lambda line: line[2:])


def run(layers: list[str], scratch: str, command: list[str]) -> int:
    """Run the command on the stack of layers."""
    for name in ("upper", "work", "merged"):
        os.makedirs(f"{scratch}/{name}", exist_ok=True)

    def child() -> None:
        isolate()
        root = stack(layers, scratch)
        mount_proc(root)
        change_root(root)
        init(command)

    pid = spawn(KINDS, child)
    code = exit_code(os.waitpid(pid, 0)[1])
    print("\n".join(changes(layers, f"{scratch}/upper")))
    return code


if __name__ == "__main__":
    sys.exit(run(sys.argv[2].split(":"), os.path.abspath(sys.argv[1]), sys.argv[3:]))
