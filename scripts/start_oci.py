"""The first Python that a `scripts/minidock-oci` runs: as scripts/start.py, for the runtime's command line."""

import gc
import sys

gc.disable()  # we are gone before there is anything to collect, and the child shares pages that nobody touches

root = __file__.rpartition("/scripts/")[0]
major, minor = sys.version_info[:2]
sys.path += [f"{root}/.venv/lib/python{major}.{minor}/site-packages", root]

from minidock import late  # noqa: E402

late.put_off()
from minidock.oci.cli import main  # noqa: E402

main()
