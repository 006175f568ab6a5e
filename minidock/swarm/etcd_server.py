"""A manager's etcd: a process of its own, started with the daemon and ended with it.

It keeps what the swarm knows, and agrees with the other managers' about it (Raft). The daemon reaches it through a unix
socket; the other managers' etcds by TLS with the node's certificate, and let in only who shows one that says
`swarm-manager`. A daemon that is killed leaves its etcd running, and the next one finds it again by its pid file.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from minidock.errors import MinidockError, Unsupported
from minidock.files import remove_tree, write_atomic
from minidock.paths import Layout
from minidock.swarm.ca import MANAGER
from minidock.swarm.etcd import Etcd, EtcdError, Unavailable
from minidock.swarm.node import PEER_STEP, Node, directory, joined, running, split

SOCKET = "etcd.sock:0"
"""etcd 3.4 takes a unix socket only in the form host:port, and as a name in its working directory."""
PATIENCE = 90.0
"""Seconds until it answers: a new member must find the others, and read what they have."""
CHANGES = 10_000
"""Revisions that are kept for those who watch; older ones are compacted away."""


class EtcdServer:
    """The process. Owns nothing else: its data lies in <root>/swarm/etcd."""

    def __init__(self, layout: Layout) -> None:
        self.run = running(layout)
        self.data = directory(layout) / "etcd"
        self.log = directory(layout) / "etcd.log"
        self.client = Etcd(self.run / SOCKET)
        self._pidfile = self.run / "etcd.pid"
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def start(self, node: Node, members: Mapping[str, str], *, joins: bool = False, anew: bool = False) -> None:
        """`members` are names and peer URLs of the managers, this one too; on a restart its data know better.

        `joins`: there is a cluster, which has been told of us. `anew`: what the data have, as a cluster of this member
        alone. Raises Unsupported without etcd.
        """
        self._stopped = False
        if self._left_running():
            return
        program = shutil.which("etcd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            raise Unsupported("a swarm's manager needs etcd, and it isn't here", hint="apt install etcd-server")
        (self.run / SOCKET).unlink(missing_ok=True)  # of one that was killed: bind(2) finds it in use otherwise
        command = [program, *self._flags(node, members, joins=joins), *(["--force-new-cluster"] if anew else [])]
        with self.log.open("ab") as log:
            os.fchmod(log.fileno(), 0o600)
            self._process = subprocess.Popen(
                command, cwd=self.run, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        write_atomic(self._pidfile, f"{self._process.pid}\n".encode(), durable=False)

    def _flags(self, node: Node, members: Mapping[str, str], *, joins: bool) -> list[str]:
        host, port = split(node.listen)
        listen = f"https://{joined(host, port + PEER_STEP)}"
        state = "existing" if joins else "new"
        return [
            *("--name", node.id, "--data-dir", str(self.data)),
            *("--listen-client-urls", f"unix://{SOCKET}", "--advertise-client-urls", f"unix://{SOCKET}"),
            *("--listen-peer-urls", listen, "--initial-advertise-peer-urls", node.peer_url),
            *("--initial-cluster", ",".join(f"{name}={url}" for name, url in members.items())),
            *("--initial-cluster-state", state, "--initial-cluster-token", node.cluster),
            *("--peer-trusted-ca-file", "ca.crt", "--peer-cert-file", "node.crt", "--peer-key-file", "node.key"),
            *("--peer-client-cert-auth", "--peer-cert-allowed-hostname", MANAGER),
            # A member may dial from another of its addresses than the one it advertises.
            "--experimental-peer-skip-client-san-verification",
            *("--auto-compaction-mode", "revision", "--auto-compaction-retention", str(CHANGES)),
            *("--logger", "zap", "--log-outputs", "stderr", "--log-level", "warn"),
        ]

    def wait(self, patience: float = PATIENCE) -> None:
        """Until it answers, and so knows most of the others; or until it is stopped.

        Raises MinidockError with etcd's last words when it ends, or time is up.
        """
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and self.lives():
            with contextlib.suppress(Unavailable, EtcdError):  # a learner refuses all questions
                self.client.call("kv/range", {"key": "AA==", "count_only": True}, timeout=5)
                return
            time.sleep(0.05)
        if self._stopped:
            return
        self.stop()
        raise MinidockError(f"etcd could not be started: {self._last_words()}", hint=f"its log is {self.log}")

    def lives(self) -> bool:
        """Whether it is there. One that a killed daemon has left is nobody's child here: its pid tells."""
        if self._process is not None:
            return self._process.poll() is None
        return bool(self._left_running())

    def _last_words(self) -> str:
        import json

        lines = self.log.read_text(errors="replace").splitlines()
        for line in reversed(lines):
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if said.get("level") in ("fatal", "error", "panic"):
                    return str(said.get("error") or said.get("msg"))
        return lines[-1] if lines else "it said nothing"

    def stop(self) -> None:
        """It ends in order; what it has answered is on disk anyway."""
        self._stopped = True
        process = self._process
        pid = process.pid if process is not None else self._left_running()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            self._gone(pid, process)
        self._process = None
        self._pidfile.unlink(missing_ok=True)

    def destroy(self) -> None:
        """The node is no manager any more: what it knew goes."""
        self.stop()
        remove_tree(self.data)

    def _gone(self, pid: int, process: subprocess.Popen[bytes] | None) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if process.poll() is not None if process is not None else not self._is_ours(pid):
                return
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if process is not None:
            process.wait()

    def _left_running(self) -> int:
        """The pid of one that a killed daemon has left, or 0."""
        try:
            pid = int(self._pidfile.read_text())
        except (FileNotFoundError, ValueError):
            return 0
        return pid if self._is_ours(pid) else 0

    def _is_ours(self, pid: int) -> bool:
        """Numbers of processes come again: it must be an etcd with our data."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(self.data) in words
