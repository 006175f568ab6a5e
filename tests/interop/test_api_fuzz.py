"""Every route that the server says it has, asked with what nobody should send: an answer, and the daemon goes on.

FUZZ_EXAMPLES=500 asks each route so often, by hand; without it each is asked a few times, always the same. Every
request is a process of the daemon's: a hundred routes take two seconds an example, four on a machine with other work.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.interop.test_api_hostile import Unix
from tests.support.api import Daemon

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3"))
BY_HAND = "FUZZ_EXAMPLES" in os.environ
OPEN_ENDED = ("/events", "/containers/{ref}/wait", "/containers/{ref}/attach", "/containers/{ref}/stats")
"""Answers that rightly go on until the client leaves: only their heads are waited for."""

WORDS = st.one_of(
    st.sampled_from(["one", "busybox", "bridge", "..", "-x", "0", "127.0.0.1:1/x", "sha256:" + "0" * 64, "a" * 300]),
    st.text(min_size=1, max_size=20),
)
QUERY_NAMES = [
    "all", "author", "changes", "condition", "container", "copyUIDGID", "detachKeys", "filters", "follow",
    "force", "fromImage", "fromSrc", "h", "limit", "logs", "name", "names", "noprune", "one-shot", "path",
    "ps_args", "repo", "signal", "since", "size", "stderr", "stdin", "stdout", "stream", "t", "tag", "tail",
    "until", "v", "w",
]  # fmt: skip
BODY_NAMES = [
    "Image", "Cmd", "Env", "Entrypoint", "Labels", "HostConfig", "NetworkingConfig", "Healthcheck",
    "ExposedPorts", "Volumes", "User", "Tty", "Detach", "Memory", "NanoCpus", "RestartPolicy", "Name", "Driver",
    "DriverOpts", "IPAM", "Options", "Container", "EndpointConfig", "Internal", "ConsoleSize",
]  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(BODY_NAMES) | WORDS, inner, max_size=3),
    max_leaves=8,
)
BODIES = st.one_of(
    st.dictionaries(st.sampled_from(BODY_NAMES), VALUES, max_size=5).map(lambda found: json.dumps(found).encode()),
    VALUES.map(lambda found: json.dumps(found).encode()),
    st.binary(max_size=200),
)
QUERIES = st.dictionaries(st.sampled_from(QUERY_NAMES), WORDS, max_size=4)


@pytest.fixture(autouse=True)
def no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """No registry in the world is asked for strange names, on whatever machine this runs: the daemon has a proxy that
    nobody is."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")


@pytest.mark.timeout(300 + 5 * EXAMPLES)
def test_every_route_answers_whatever_it_is_asked(daemon: Daemon) -> None:
    daemon.docker("create", "--name", "one", "busybox", "true")
    paths = json.loads(_asked(daemon, "get", "/openapi.json")[1])["paths"]
    asked = [(method, path) for path, methods in paths.items() for method in methods]
    assert len(asked) > 80
    for method, path in asked:
        _ask_strangely(daemon, method, path)
    assert daemon.process is not None and daemon.process.poll() is None
    assert _asked(daemon, "get", "/_ping") == (200, "OK")


def _ask_strangely(daemon: Daemon, method: str, path: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=not BY_HAND,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def ask(data: st.DataObject) -> None:
        filled = path
        while "{" in filled:
            head, _, rest = filled.partition("{")
            filled = head + quote(data.draw(WORDS), safe="") + rest.partition("}")[2]
        query, body = urlencode(data.draw(QUERIES)), data.draw(BODIES)
        status, text = _asked(daemon, method, f"{filled}?{query}", body, head_only=path in OPEN_ENDED)
        assert "Traceback" not in text and "mistake in minidock" not in text, (method, filled, query, body, text)
        if status >= 400 and text:
            assert set(json.loads(text)) == {"message"}, (method, filled, text)

    ask()


def _asked(daemon: Daemon, method: str, path: str, body: bytes = b"", *, head_only: bool = False) -> tuple[int, str]:
    connection = Unix(daemon.socket)
    try:
        connection.request(method.upper(), path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if head_only and answer.status < 400:
            return answer.status, ""
        return answer.status, answer.read().decode(errors="replace")
    except TimeoutError:
        pytest.fail(f"no answer, or none that ends: {method} {path} {body!r}")
    finally:
        connection.close()
