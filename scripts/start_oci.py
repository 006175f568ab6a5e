"""The first Python that a `scripts/minidock-oci` runs: as scripts/start.py, for the runtime's command line."""

import gc
import sys

gc.disable()  # we are gone before there is anything to collect, and the child shares pages that nobody touches
sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # msgspec does without: 8 ms where linters are

root = __file__.rpartition("/scripts/")[0]
major, minor = sys.version_info[:2]
sys.path += [f"{root}/.venv/lib/python{major}.{minor}/site-packages", root]

from minidock.oci.cli import main  # noqa: E402

main()
