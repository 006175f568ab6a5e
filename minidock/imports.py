"""No module is looked for any more: for a process that is about to see files which a container or an image made.

Python imports when a line is reached, and looks where sys.path says: after pivot_root(2) or setns(2) those are the
*container's* directories, and its file of that name would run with all of our rights (CVE-2019-14271: `docker cp`
loaded the container's libnss). What is needed has been imported before; anything else is an ImportError.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable
from importlib import import_module

CODECS = ("ascii", "utf-8", "latin-1")
"""Found by import too, at their first use."""


def end(needed: Iterable[str] = ()) -> None:
    """Load `needed`, and nothing else from now on. For a process that is to end, or to become another program."""
    for name in needed:
        import_module(name)
    for name in CODECS:
        codecs.lookup(name)
    sys.meta_path[:] = [finder for finder in sys.meta_path if _is_of_the_interpreter(finder)]
    sys.path_hooks.clear()
    sys.path.clear()


def _is_of_the_interpreter(finder: object) -> bool:
    """Finders of modules that are part of the running program itself, and need no file."""
    return getattr(finder, "__name__", "") in ("BuiltinImporter", "FrozenImporter")
