"""What a shim becomes when what it has watched over has ended, and nobody else cleans up."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from minidock.paths import Layout


def cleanup_command(layout: Layout, container_id: str) -> list[str]:
    """`minidock container cleanup ID`; an exec's shim adds the exec's id."""
    python = Path(sys.executable)
    return [os.fspath(python), "-I", "-m", "minidock", "--root", str(layout.root), "container", "cleanup", container_id]
