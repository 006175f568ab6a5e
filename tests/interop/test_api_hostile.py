"""Whatever a client sends: an answer in JSON, never a traceback, and the daemon goes on."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from urllib.parse import quote

from tests.support.api import Daemon


class Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def ask(daemon: Daemon, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
    """Status and message, or the body as it is."""
    connection = Unix(daemon.socket)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    finally:
        connection.close()
    if answer.status >= 400:
        return answer.status, json.loads(text)["message"]
    return answer.status, text


BODIES = [
    b"{",
    b"[]",
    b'"word"',
    b"null and more",
    b"\xff\xfe",
    b'{"Image": 5}',
    b'{"HostConfig": "word"}',
    b'{"HostConfig": {"Memory": "much"}}',
    b'{"HostConfig": {"Binds": [1, 2]}}',
    b'{"HostConfig": {"PortBindings": {"80/tcp": "8080"}}}',
    b'{"NetworkingConfig": [1]}',
    b'{"NetworkingConfig": {"EndpointsConfig": {"bridge": 7}}}',
    b'{"Cmd": {"a": 1}}',
    b'{"Env": "A=b"}',
    b'{"Labels": ["a"]}',
    b'{"Healthcheck": {"Interval": "1s"}}',
    b'{"Tty": "true"}',
    b"[" * 20000,
]


def test_bodies_that_are_no_configuration_are_the_clients_mistake(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    for body in BODIES:
        status, message = ask(daemon, "POST", "/v1.44/containers/create", body)
        assert status in (400, 404) and "Traceback" not in message, (body[:80], status, message)
    for path in ("containers/one/exec", "containers/one/update", "auth", "commit?container=one"):
        for body in (b"{", b"[]", b'{"Cmd": 1, "Memory": "x", "username": 1, "Env": 3}'):
            status, message = ask(daemon, "POST", f"/v1.44/{path}", body)
            assert status == 400, (path, body, status, message)
    made = json.loads(ask(daemon, "POST", "/containers/one/exec", b'{"cmd": ["true"]}')[1])["Id"]
    assert ask(daemon, "POST", f"/exec/{made}/start", b'{"ConsoleSize": "big"}')[0] == 400
    assert ask(daemon, "POST", f"/exec/{made}/start", b'{"Detach": 1}')[0] == 400


def test_what_a_page_in_a_browser_could_post_is_not_taken_for_json(daemon: Daemon) -> None:
    body = b'{"Image": "busybox"}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        status, message = ask(daemon, "POST", "/containers/create", body, **{"Content-Type": kind})
        assert (status, message) == (400, f"Content-Type specified ({kind}) must be 'application/json'")
    for kind in ("application/json", "application/json; charset=utf-8"):
        assert ask(daemon, "POST", "/containers/create", body, **{"Content-Type": kind})[0] == 201


PATHS = [
    "/containers/..%2f..%2fetc/json",
    "/containers/%2e%2e/json",
    "/containers/%00/json",
    "/containers/" + "a" * 3000 + "/json",
    "/volumes/" + "a" * 300,
    "/containers/-rf/logs?stdout=1",
    "/containers/one/archive?path=" + quote("../../../../nosuch"),
    "/containers/one/stats?stream=maybe&one-shot=1",
    "/containers/json?filters=%7B",
    "/containers/json?filters=[1]",
    "/containers/json?limit=many",
    "/containers/json?filters=" + quote('{"status": ["nosuch"]}'),
    "/images/../../etc/passwd/json",
    "/images/UPPER%20CASE/json",
    "/images/get?names=" + quote("../x"),
    "/images/json?filters=" + quote('{"nosuch": ["1"]}'),
    "/exec/..%2f..%2fx/json",
    "/events?since=yesterday",
    "/v0.1/info",
    "/nosuch",
    "/containers/one/logs",
    "/containers/one/top?ps_args=" + quote("'"),
]


def test_names_and_queries_that_cannot_be(daemon: Daemon) -> None:
    daemon.docker("create", "--name", "one", "busybox")
    for path in PATHS:
        status, message = ask(daemon, "GET", path)
        assert 400 <= status < 500, (path, status, message)
        assert "Traceback" not in message and "mistake in minidock" not in message, message


def test_names_that_no_file_can_have(daemon: Daemon) -> None:
    """Names are names of files here: what is longer is refused in words, or found nowhere."""
    long = "a" * 256
    for path, body, status, words in (
        (f"/containers/create?name={long}", {"Image": "busybox"}, 400, "Invalid container name"),
        ("/volumes/create", {"Name": long}, 400, "volume name is too long"),
        ("/containers/create", {"Image": "busybox", "HostConfig": {"Binds": [f"{long}:/x"]}}, 400, "name is too long"),
        ("/networks/create", {"Name": long}, 400, "at most 255 bytes"),
        ("/containers/create?name=" + long[:255], {"Image": "busybox"}, 201, "Id"),
        ("/volumes/create", {"Name": long[:249]}, 201, "Mountpoint"),
    ):
        found = ask(daemon, "POST", path, json.dumps(body).encode())
        assert found[0] == status and words in found[1], (path, found)
    assert ask(daemon, "GET", f"/containers/{long}/json") == (404, f"No such container: {long}")
    assert ask(daemon, "GET", f"/volumes/{long}")[0] == 404
    assert ask(daemon, "DELETE", f"/volumes/{long[:249]}")[0] == 204
    assert ask(daemon, "DELETE", f"/containers/{long[:255]}")[0] == 204


def test_a_dockerfile_that_is_no_text(daemon: Daemon) -> None:
    status, message = ask(daemon, "POST", "/build", b"\x89PNG\r\n\x1a\n" + bytes(60))
    assert status == 400 and "unknown instruction: \N{REPLACEMENT CHARACTER}PNG" in message, (status, message)


NO_HTTP = (
    b"\0" * 4096,
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /build HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    b"GET /info HTTP/1.1\r\n" + b"A: b\r\n" * 40000 + b"\r\n",
    b"GET /" + b"x" * 200000,
)


def test_what_is_no_http_at_all(daemon: Daemon) -> None:
    for said in NO_HTTP:
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(20)
            raw.connect(str(daemon.socket))
            try:
                raw.sendall(said)
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(65536):
                    pass
            except OSError:
                continue
    assert daemon.docker("version", "-f", "{{.Server.Os}}").stdout == "linux\n"


def test_a_body_without_end_is_cut_off(daemon: Daemon) -> None:
    status, message = ask(daemon, "POST", "/containers/create", b'{"Image": "' + b"x" * (20 << 20) + b'"}')
    assert (status, message) == (413, "the body is larger than 16777216 bytes")
