"""The client of another daemon, without one: what it has of the engine, how it reads errors and streams."""

from __future__ import annotations

import inspect
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from minidock import errors
from minidock.daemon.client import api as module
from minidock.daemon.client import failures, stats
from minidock.daemon.client.api import Api, encoded, quoted
from minidock.daemon.client.attached import Stream
from minidock.daemon.client.endpoint import parse
from minidock.daemon.client.remote import RemoteEngine
from minidock.engine import Engine, wire
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig
from minidock.model.requests import CreateRequest

STAY_HERE = {
    *("start_held", "connect", "exec_create", "exec_start", "exec_inspect"),  # the daemon's own half
    *("stat_path", "read_archive", "write_archive", "raw_stats", "check_login", "distribution"),  # the same
    *("cleanup", "revive", "probe", "restore"),  # what shims and waiters become
    *("arrange_network",),  # the daemon's own, of its swarm
    *("known_user", "logout"),  # about this host's config.json alone
    *("dry_run", "as_shell", "kernel_side"),  # refused by name
}


def verbs(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def test_every_verb_of_the_engine_works_elsewhere_or_is_known_not_to() -> None:
    parts = RemoteEngine.mro()[: RemoteEngine.mro().index(Engine)]
    ours = {name for part in parts for name in vars(part) if not name.startswith("_")}
    assert verbs(Engine) - ours - STAY_HERE == set()
    assert ours <= verbs(Engine)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda engine, request: engine.dry_run(request, say=print), "run --dry-run"),
        (lambda engine, request: engine.as_shell(request), "run --as-shell"),
        (lambda engine, request: engine.kernel_side("x"), "inspect --kernel"),
        (lambda engine, request: engine.network_side("x"), "ui"),
        (lambda engine, request: engine.look("cat /proc/1/status"), "ui"),
        (lambda engine, request: engine.start("x", narrator=object()), "run --explain"),
        (lambda engine, request: engine.foretell_remove("x"), "rm --dry-run and --as-shell"),
        (lambda engine, request: engine.restore(), "this command"),
    ],
)
def test_what_needs_the_host_itself_is_refused_by_name(call: object, named: str) -> None:
    engine = RemoteEngine(parse("unix:///nope"))
    with pytest.raises(errors.Unsupported, match=f"{named} works? only on the host itself"):
        call(engine, CreateRequest(ContainerConfig(), HostConfig()))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (404, "No such container: x", errors.ContainerNotFound),
        (404, "No such image: x:latest", errors.ImageNotFound),
        (404, "network x not found", errors.NetworkNotFound),
        (404, "page not found", errors.NotFound),
        (409, 'Conflict. The container name "/x" is already in use by container "y".', errors.NameInUse),
        (409, "Container x is not running", errors.NotRunning),
        (409, "something else", errors.Conflict),
        (400, "invalid filter", errors.UsageError),
        (501, "not yet", errors.Unsupported),
        (500, "exec: executable file not found in $PATH", errors.MinidockError),
    ],
)
def test_a_daemon_s_error_is_one_of_ours_with_its_text(status: int, text: str, kind: type) -> None:
    error = failures.of_answer(status, msgspec.json.encode({"message": text}))
    assert type(error) is kind and error.message == text and error.lead == "Error response from daemon: "


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('exec: "x": executable file not found in $PATH: unknown', 127),
        ('exec: "/x": stat /x: no such file or directory: unknown', 127),
        ('exec: "/etc": permission denied: unknown', 126),
        ('exec: "/etc": is a directory: unknown', 126),
        ("driver failed", 1),
    ],
)
def test_a_command_that_cannot_be_started_has_its_exit_code(text: str, code: int) -> None:
    assert failures.of_answer(500, text.encode(), starting=True).exit_code == code


@pytest.mark.parametrize("body", [b"", b"plain words", b"[]", b'{"message": 3}', b"\xff"])
def test_an_answer_that_is_not_docker_s_is_told_all_the_same(body: bytes) -> None:
    assert failures.of_answer(500, body).message


def test_queries_are_encoded_as_docker_s_client_does() -> None:
    assert encoded(None) == ""
    assert encoded({"all": True, "size": False, "limit": None, "name": ""}) == "?all=1"
    assert encoded({"names": ["a", "b"], "t": 0}) == "?names=a&names=b&t=0"
    assert encoded({"filters": {"label": ["a=b"]}}) == "?filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%7D%7D"
    assert encoded({"filters": {}}) == ""
    assert quoted("localhost:5000/a b?c") == "localhost:5000/a%20b%3Fc"


# A daemon of a few lines, for what happens on the wire


@contextmanager
def answering(path: Path, *answers: bytes) -> Iterator[list[bytes]]:
    """Each connection gets the next of the answers to each of its requests' headers, and is then closed."""
    seen: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(8)

    def serve() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += connection.recv(65536)
                seen.append(data)
                connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield seen
    thread.join(5)
    listener.close()


def said(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    rows = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(rows).encode() + body


PING = said(b"", "Api-Version: 1.41")


def test_the_older_of_both_versions_is_spoken(tmp_path: Path) -> None:
    with answering(tmp_path / "s", PING, said(b"{}")) as seen:
        assert Api(parse(f"unix://{tmp_path}/s")).json("GET", "/info") == {}
    assert seen[0].startswith(b"HEAD /_ping ") and seen[1].startswith(b"GET /v1.41/info ")
    with answering(tmp_path / "n", said(b"", "Api-Version: 9.9")):
        assert Api(parse(f"unix://{tmp_path}/n")).version() == "1.44"
    with answering(tmp_path / "o", said(b"", "Api-Version: 1.12")), pytest.raises(errors.NoDaemon, match=r"1\.12"):
        Api(parse(f"unix://{tmp_path}/o")).version()


def test_a_version_may_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_API_VERSION", "1.30")
    with answering(tmp_path / "s", said(b"{}")) as seen:
        Api(parse(f"unix://{tmp_path}/s")).json("GET", "/info")
    assert seen[0].startswith(b"GET /v1.30/info ")


def test_nobody_there_is_told_in_docker_s_words(tmp_path: Path) -> None:
    for host in (f"unix://{tmp_path}/nope", "tcp://127.0.0.1:1"):
        with pytest.raises(errors.NoDaemon) as caught:
            Api(parse(host)).json("GET", "/info")
        assert caught.value.message == f"Cannot connect to the Docker daemon at {host}. Is the docker daemon running?"


def test_a_daemon_that_hangs_up_is_told(tmp_path: Path) -> None:
    with answering(tmp_path / "s", PING, b""), pytest.raises(errors.NoDaemon, match="lost the connection"):
        Api(parse(f"unix://{tmp_path}/s")).json("GET", "/info")
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    with answering(tmp_path / "t", PING, cut), pytest.raises(errors.NoDaemon, match="lost the connection"):
        Api(parse(f"unix://{tmp_path}/t")).json("GET", "/info")
    with answering(tmp_path / "u", PING, said(b"<html>")), pytest.raises(errors.NoDaemon, match="is no Docker daemon"):
        Api(parse(f"unix://{tmp_path}/u")).json("GET", "/info")


def test_a_failure_in_the_middle_of_a_stream_is_raised(tmp_path: Path) -> None:
    lines = b'{"status":"one"}\r\n\r\n{"errorDetail":{"message":"no space"},"error":"no space"}\r\n'
    with answering(tmp_path / "s", PING, said(lines)):
        api = Api(parse(f"unix://{tmp_path}/s"))
        found = api.messages(api.open("POST", "/images/create"))
        assert next(found) == {"status": "one"}
        with pytest.raises(errors.MinidockError, match="no space") as caught:
            next(found)
    assert caught.value.lead == ""


def test_no_byte_after_the_header_of_a_hijacked_connection_is_lost(tmp_path: Path) -> None:
    upgraded = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nat once"
    with answering(tmp_path / "s", PING, upgraded):
        stream = Api(parse(f"unix://{tmp_path}/s")).hijack("/containers/x/attach")
        with stream:
            assert stream.recv(100) == b"at once" and stream.recv(100) == b""


# What runtime.session takes for a shim


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_frames_of_a_shim_become_bytes_requests_and_the_end_of_our_half(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    sizes: list[tuple[int, int]] = []
    stream = Stream(pair[0], raw=True, resize=lambda *size: sizes.append(size), ended=lambda: 7)
    queue = bytearray()
    queue += wire.frame(wire.STDIN, b"typed") + wire.frame(wire.RESIZE, struct.pack(">HH", 24, 80))
    queue += wire.frame(wire.STDIN, b" more") + wire.frame(wire.CLOSE_STDIN)
    while queue:
        del queue[: stream.send(queue)]
    assert sizes == [(24, 80)]
    assert pair[1].recv(100) == b"typed more" and pair[1].recv(100) == b""


def test_what_comes_back_ends_with_the_exit_code(pair: tuple[socket.socket, socket.socket]) -> None:
    for raw, sent in ((True, b"bare"), (False, wire.frame(wire.STDERR, b"framed"))):
        ours, theirs = socket.socketpair()
        with ours:
            stream = Stream(ours, raw=raw, resize=lambda *_: None, ended=lambda: -1)
            theirs.sendall(sent)
            theirs.close()
            decoder, found = wire.Decoder(), []
            while chunk := stream.recv(100):
                found += decoder.feed(chunk)
        output = (wire.STDOUT, b"bare") if raw else (wire.STDERR, b"framed")
        assert found == [output, (wire.EXIT, struct.pack(">i", -1))]


def test_a_cpu_share_is_that_of_docker_s_formula() -> None:
    def sample(used: int, system: int) -> dict[str, object]:
        usage = {"total_usage": used, "percpu_usage": [0, 0]}
        return {
            "name": "/web",
            "cpu_stats": {"cpu_usage": usage, "system_cpu_usage": system, "online_cpus": 2},
            "memory_stats": {"usage": 100, "limit": 400, "stats": {"total_inactive_file": 50}},
            "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 3, "tx_bytes": 4}},
            "blkio_stats": {"io_service_bytes_recursive": [{"op": "Read", "value": 5}, {"op": "write", "value": 6}]},
            "pids_stats": {"current": 3},
        }

    row = stats.figures("id", sample(100, 1000), sample(200, 1400))
    assert (row.cpu_percent, row.memory, row.memory_percent, row.name) == (50.0, 50, 12.5, "web")
    assert (row.received, row.sent, row.read, row.written, row.pids) == (4, 6, 5, 6, 3)
    assert stats.figures("id", None, {}).cpu_percent == 0


def test_nulls_of_go_are_left_out() -> None:
    assert module.without_nulls({"a": None, "b": [{"c": None}, 1]}) == {"b": [{}, 1]}
