"""The clients of the API and what they are used for: one class a client, one method a workflow, named after it.

A workflow is what a test asserts, with the client's own words. What a client has no word for is in its LACKS, with
what it says instead; the table of docs/api.md is made of both (tests/interop/test_api_matrix.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tests.support.api import Daemon

WORKFLOWS = ("run", "exec", "logs", "build", "networks", "volumes", "events", "cp", "stats", "health")
DOCKERFILE = """\
FROM busybox
ARG GREETING=none
LABEL made=here client="NAME"
COPY page /data/page
RUN echo $GREETING >>/data/page
CMD ["cat", "/data/page"]
"""
HEALTHY = "test -e /ready || { touch /ready; false; }"
"""A check that fails once: who is told `healthy` has been told twice."""


class Client:
    """One of the programs or libraries, on a daemon. `place` is a directory of its own."""

    NAME: ClassVar[str]
    LACKS: ClassVar[dict[str, str]] = {}

    def __init__(self, daemon: Daemon, place: Path) -> None:
        self.daemon = daemon
        self.place = place
        (place / "context").mkdir()
        (place / "context" / "Dockerfile").write_text(DOCKERFILE.replace("NAME", self.NAME))
        (place / "context" / "page").write_text("page\n")

    def close(self) -> None:
        """What it has for all its workflows goes."""

    @classmethod
    def cells(cls) -> list[str]:
        return [name for name in WORKFLOWS if name not in cls.LACKS]
