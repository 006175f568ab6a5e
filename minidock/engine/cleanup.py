"""The commands of ours that are started without anybody typing them: by shims, and by who waits for a restart."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from minidock.paths import Layout


def engine_command(layout: Layout) -> list[str]:
    """minidock on this instance, as the processes that outlive us start it."""
    return [os.fspath(Path(sys.executable)), "-I", "-m", "minidock", "--root", str(layout.root)]


def cleanup_command(layout: Layout, container_id: str) -> list[str]:
    """`minidock container cleanup ID`; an exec's shim adds the exec's id."""
    return [*engine_command(layout), "container", "cleanup", container_id]
