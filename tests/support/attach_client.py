"""A program for tests: attaches its standard streams to a shim, as `minidock run` and `minidock attach` do.

    python attach_client.py SOCKET [stdin] [tty] [proxy] [no-stdout] [keys=ctrl-a,x]

Exits with the container's exit code; after detaching it prints "detached" and exits 0.
"""

from __future__ import annotations

import sys
from pathlib import Path

from minidock.errors import MinidockError
from minidock.runtime import attach
from minidock.runtime.terminal import parse_detach_keys


def main(path: str, *words: str) -> int:
    keys = next((word.removeprefix("keys=") for word in words if word.startswith("keys=")), "")

    def proxy(number: int) -> None:
        print(f"signal {number}", file=sys.stderr, flush=True)

    try:
        outcome = attach.stream(
            attach.connect(Path(path)),
            stdin="stdin" in words,
            tty="tty" in words,
            stdout="no-stdout" not in words,
            detach_keys=parse_detach_keys(keys),
            on_signal=proxy if "proxy" in words else None,
        )
    except MinidockError as error:
        print(error, file=sys.stderr)
        return 125
    if outcome.detached:
        print("detached")
        return 0
    return 99 if outcome.exit_code is None else outcome.exit_code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
