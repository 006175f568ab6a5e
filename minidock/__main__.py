"""`python -m minidock` and the console script `minidock`: how the process begins and ends.

Most commands live for less than a tenth of a second. So what Python does for long-lived programs is left out.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal.py without its enumerations, which take half a millisecond
import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # to load typing takes 5 ms, in which Ctrl-C would be a traceback
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    # Loading our modules makes objects that stay: to look for garbage among them takes 4 ms and finds none.
    gc.set_threshold(100_000)
    # Ctrl-C while modules are loaded ends us by the signal: Python's way raises wherever it is, with a traceback.
    ctrl_c = _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    from minidock import late

    late.put_off()
    from minidock.cli import app

    _signal.signal(_signal.SIGINT, ctrl_c)
    try:
        app.main()
    except SystemExit as leave:
        code = leave.code
    sys.stderr.flush()
    # To take the interpreter apart, object by object, takes 10 ms; the kernel does it at once. stdout is flushed.
    os._exit(code if isinstance(code, int) else code is not None)


if __name__ == "__main__":
    main()
