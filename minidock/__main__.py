"""`python -m minidock` and the console script `minidock`: how the process begins and ends.

Most commands live for less than a tenth of a second. So what Python does for long-lived programs is left out.
"""

import gc
import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    # Loading our modules makes objects that stay: to look for garbage among them takes 4 ms and finds none.
    gc.set_threshold(100_000)
    from minidock import late

    late.put_off()
    from minidock.cli import app

    try:
        app.main()
    except SystemExit as leave:
        code = leave.code
    sys.stderr.flush()
    # To take the interpreter apart, object by object, takes 10 ms; the kernel does it at once. stdout is flushed.
    os._exit(code if isinstance(code, int) else code is not None)


if __name__ == "__main__":
    main()
