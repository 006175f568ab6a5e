"""The first Python that a `scripts/minidock` runs: finds the packages, then hands over.

Started with -I (nothing of the caller's environment or directory gets into a program that runs as root) and -S
(the site module is a third of an interpreter's start, and all that it would do for us are these two lines).
"""

import sys

root = __file__.rpartition("/scripts/")[0]
major, minor = sys.version_info[:2]
sys.path += [f"{root}/.venv/lib/python{major}.{minor}/site-packages", root]

from minidock.__main__ import main  # noqa: E402

main()
