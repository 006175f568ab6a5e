"""Dockerfiles that people have: a compiler in one stage and its program alone in the next; machine learning.

They fetch packages, so they need a network, and minutes on a busy machine.
"""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path

import pytest

from tests.support import learning, training
from tests.support.instance import Minidock
from tests.support.needs import require_feature, require_root

PROGRAM = """\
FROM debian AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY hello.c .
RUN gcc -static -Os -o /hello hello.c

FROM scratch
COPY --from=build /hello /hello
ENTRYPOINT ["/hello"]
CMD ["world"]
"""
HELLO = '#include <stdio.h>\nint main(int argc, char **argv) { printf("hello, %s\\n", argv[1]); return 0; }\n'


@pytest.mark.timeout(1500)
def test_real_dockerfiles(minidock: Minidock, tmp_path: Path) -> None:
    """One test, for Debian's base is made once for both."""
    require_root()
    require_feature("network")
    program = tmp_path / "program"
    program.mkdir()
    (program / "Dockerfile").write_text(PROGRAM)
    (program / "hello.c").write_text(HELLO)
    minidock("build", "-q", "-t", "hello", str(program), check=True, timeout=600)
    assert minidock("run", "--rm", "hello", check=True).stdout == "hello, world\n"
    found = json.loads(minidock("image", "inspect", "hello", check=True).stdout)[0]
    assert len(found["RootFS"]["Layers"]) == 1 and found["Size"] < 2_000_000

    framework, development = learning.contexts(tmp_path)
    minidock("build", "-q", "-t", "framework", str(framework), check=True, timeout=600)
    minidock("build", "-q", "-t", "development", str(development), check=True, timeout=900)
    found = json.loads(minidock("image", "inspect", "development", check=True).stdout)[0]
    assert set(found["Config"]["ExposedPorts"]) == {"6006/tcp", "8888/tcp"} and found["Config"]["Cmd"] == ["/bin/bash"]
    train = ("python3", "train.py")
    assert minidock("run", "--rm", "--network", "none", "development", *train, check=True, timeout=300).stdout == "42\n"
    command = ("run", "-d", "--name", "board", "-p", "127.0.0.1::6006", "development", *learning.BOARD)
    minidock(*command, check=True)
    ports = minidock("inspect", "-f", "{{json .NetworkSettings.Ports}}", "board", check=True).stdout
    port = int(json.loads(ports)["6006/tcp"][0]["HostPort"])
    assert b"<title>TensorBoard</title>" in _answer(port, "/")
    assert json.loads(_answer(port, "/data/environment"))["data_location"] == "/development/logs"
    training.several_at_once(minidock, "development", tmp_path)
    training.notebook(minidock, "development")


def _answer(port: int, path: str) -> bytes:
    """What the server says, once it has imported all that it needs."""
    deadline = time.monotonic() + 120
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", path)
            return connection.getresponse().read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
