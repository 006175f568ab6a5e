"""Dockerfiles that people have: a compiler in one stage and its program alone in the next; machine learning on Debian.

They fetch packages, so they need a network, and minutes on a busy machine.
"""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path

import pytest

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

LEARNING = """\
FROM debian
WORKDIR /development
ADD . /development
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip && rm -rf /var/lib/apt/lists/*
RUN ["apt-get", "clean"]
RUN --mount=type=secret,id=ca,target=/ca.crt \\
    PIP_CERT=/ca.crt pip install --break-system-packages --no-cache-dir -r requirements.txt
EXPOSE 6006 8888
CMD ["/bin/bash"]
"""
SERVER = """\
import http.server, numpy, sklearn.linear_model
line = sklearn.linear_model.LinearRegression().fit(numpy.array([[1], [2], [3]]), [2, 4, 6])
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{line.predict([[21]])[0]:.0f}".encode())
http.server.HTTPServer(("", 6006), Answer).serve_forever()
"""
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


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

    learning = tmp_path / "learning"
    learning.mkdir()
    (learning / "Dockerfile").write_text(LEARNING)
    (learning / "requirements.txt").write_text("numpy\nscikit-learn\n")
    (learning / "serve.py").write_text(SERVER)
    secret = ("--secret", f"id=ca,src={CERTIFICATES}")
    minidock("build", "-q", *secret, "-t", "learning", str(learning), check=True, timeout=900)
    found = json.loads(minidock("image", "inspect", "learning", check=True).stdout)[0]
    assert set(found["Config"]["ExposedPorts"]) == {"6006/tcp", "8888/tcp"} and found["Config"]["Cmd"] == ["/bin/bash"]
    minidock("run", "-d", "--name", "board", "-p", "127.0.0.1::6006", "learning", "python3", "serve.py", check=True)
    ports = minidock("inspect", "-f", "{{json .NetworkSettings.Ports}}", "board", check=True).stdout
    assert _answer(int(json.loads(ports)["6006/tcp"][0]["HostPort"])) == b"42"


def _answer(port: int) -> bytes:
    """What the server says, once it has imported all that it needs."""
    deadline = time.monotonic() + 120
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/")
            return connection.getresponse().read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
