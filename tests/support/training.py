"""Real work in the image of tests/support/learning.py: training under limits, several at once, a notebook in use."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import time
from pathlib import Path
from typing import Any

from tests.support.instance import Minidock

FOREST = """\
import json, os, sys
import numpy, psutil
from sklearn.ensemble import RandomForestClassifier
points = numpy.loadtxt("/data/points.csv", delimiter=",")
forest = RandomForestClassifier(50, n_jobs=-1, random_state=int(sys.argv[1])).fit(points[:, :2], points[:, 2])
score = forest.score(points[:, :2], points[:, 2])
seen = {"score": score, "cpus": os.cpu_count(), "memory": psutil.virtual_memory().total,
        "threads": os.environ["OMP_NUM_THREADS"]}
json.dump(seen, open(f"/out/{sys.argv[1]}.json", "w"))
"""
LIMITS = ("--memory", "400m", "--memory-swap", "400m", "--cpus", "1", "--show-limits", "--thread-hints")
CALLER = 4711


def several_at_once(minidock: Minidock, image: str, place: Path, count: int = 3) -> None:
    """Each under its own limits, data read-only on a bind mount, results the caller's (idmap)."""
    data, out = place / "data", place / "out"
    data.mkdir()
    out.mkdir()
    os.chown(out, CALLER, CALLER)
    rows = [(x / 20, y / 20, int(x > y)) for x in range(20) for y in range(20)]
    (data / "points.csv").write_text("".join(f"{x},{y},{side}\n" for x, y, side in rows))
    (data / "forest.py").write_text(FOREST)
    mounts = ("-v", f"{data}:/data:ro", "-v", f"{out}:/out:idmap", "--network", "none")
    names = [f"forest-{number}" for number in range(count)]
    for number, name in enumerate(names):
        command = ("python3", "/data/forest.py", str(number))
        minidock("run", "-d", "--name", name, *mounts, *LIMITS, image, *command, check=True)
    assert minidock("wait", *names, check=True, timeout=300).stdout.split() == ["0"] * count
    for number in range(count):
        file = out / f"{number}.json"
        assert file.stat().st_uid == CALLER
        seen = json.loads(file.read_text())
        assert seen["score"] > 0.95
        assert (seen["cpus"], seen["memory"], seen["threads"]) == (1, 400 << 20, "1")
    minidock("rm", *names, check=True)


def notebook(minidock: Minidock, image: str) -> None:
    """Jupyter, reached through a published port: it asks for its token, starts a kernel, and keeps a notebook."""
    server = (
        "jupyter",
        "notebook",
        "--ip",
        "0.0.0.0",
        "--allow-root",
        "--no-browser",
        "--IdentityProvider.token=sesame",
    )
    publish = ("-p", "127.0.0.1::8888", "--shm-size", "128m")
    minidock("run", "-d", "--name", "notebook", *publish, image, *server, check=True)
    port = int(minidock("port", "notebook", "8888", check=True).stdout.rpartition(":")[2])
    ask(port, "GET", "/api", patience=120)
    assert ask(port, "GET", "/api/kernels", token="")[0] == 403
    status, kernel = ask(port, "POST", "/api/kernels", {"name": "python3"})
    assert status == 201, kernel
    cell: dict[str, Any] = {
        "cell_type": "code",
        "source": "6 * 7",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    content = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    status, kept = ask(port, "PUT", "/api/contents/work.ipynb", {"type": "notebook", "content": content})
    assert status == 201, kept
    run = ("jupyter", "nbconvert", "--to", "notebook", "--execute", "--inplace", "work.ipynb")
    minidock("exec", "notebook", *run, check=True, timeout=180)
    _, done = ask(port, "GET", "/api/contents/work.ipynb")
    assert done["content"]["cells"][0]["outputs"][0]["data"]["text/plain"] == "42"
    assert ask(port, "DELETE", f"/api/kernels/{kernel['id']}")[0] == 204
    minidock("rm", "-f", "notebook", check=True)


def ask(
    port: int, method: str, path: str, body: object = None, *, token: str = "sesame", patience: float = 0
) -> tuple[int, dict[str, Any]]:
    """(status, answer). `patience`: seconds in which it may not listen yet."""
    deadline = time.monotonic() + patience
    headers = {"Authorization": f"token {token}"} if token else {}
    while True:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            try:
                connection.request(method, path, json.dumps(body) if body is not None else None, headers)
                answer = connection.getresponse()
                text = answer.read()
                return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else {}
            except OSError:
                if time.monotonic() > deadline:
                    raise
        time.sleep(0.3)
