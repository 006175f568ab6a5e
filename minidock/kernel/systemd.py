"""systemd as the owner of the tree of cgroups: on most machines the first process has made all of it, and keeps it.

Who runs containers there is to ask it for a *scope*: a cgroup of somebody else's processes, to which systemd has given
itself the limits, so that it doesn't write others over them at the next `daemon-reload`. It is asked in D-Bus, by the
socket on which systemctl asks it too, without a bus between. Man pages: systemd.scope(5), systemd.resource-control(5),
org.freedesktop.systemd1(5).
"""

from __future__ import annotations

import errno
import os
import socket
import time
from types import TracebackType
from typing import Any

from minidock.errors import MinidockError, Unsupported

SOCKET = "/run/systemd/private"
BOOTED = "/run/systemd/system"
"""A directory that is there when systemd is the first process: sd_booted(3)."""
PATIENCE = 30.0
"""Seconds for a job: a scope begins at once, but systemd may be busy with others."""
NAME = "org.freedesktop.systemd1"
Property = tuple[str, str, Any]
"""Name, signature of D-Bus, value."""


class Refused(MinidockError):
    """systemd answered with an error; `name` is D-Bus's, such as org.freedesktop.systemd1.NoSuchUnit."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class Manager:
    """A connection to the first process. Raises Unsupported where that isn't systemd, or we aren't root."""

    def __init__(self) -> None:
        if not os.path.isdir(BOOTED):
            raise Unsupported(
                "can't let systemd make the cgroup: it doesn't run this machine",
                hint="choose cgroupfs: dockerd: native.cgroupdriver=cgroupfs; podman: --cgroup-manager=cgroupfs",
            )
        from jeepney import Parser

        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self.socket.settimeout(PATIENCE)
            self.socket.connect(SOCKET)
            self._introduce()
        except OSError as error:
            self.socket.close()
            raise Unsupported(
                f"can't ask systemd for a cgroup: {SOCKET}: {error}", hint="it answers root only"
            ) from error
        self.parser = Parser()
        self.serial = 0
        self.jobs: dict[str, str] = {}
        """Results of the jobs that have ended, by their path."""

    def _introduce(self) -> None:
        """D-Bus's handshake, all at once as systemctl does it: what systemd reads together with BEGIN it doesn't look
        at before there is more to read, so the first question may come only after its answer."""
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\nBEGIN\r\n")
        answer = b""
        while not answer.endswith(b"\r\n"):
            more = self.socket.recv(1024)
            if not more:
                raise ConnectionResetError(errno.ECONNRESET, "hung up on our introduction")
            answer += more
        if not answer.startswith(b"OK "):
            raise PermissionError(errno.EACCES, answer.decode(errors="replace").strip())

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()

    def start_scope(self, unit: str, properties: list[Property]) -> None:
        """Make a scope, and wait until it is there. Raises Refused, MinidockError."""
        told = [(name, (signature, value)) for name, signature, value in properties]
        (job,) = self.call("StartTransientUnit", "ssa(sv)a(sa(sv))", (unit, "replace", told, []))
        if (result := self._wait(job)) != "done":
            raise MinidockError(f"systemd's job to start {unit} ended with {result!r}", hint=f"systemctl status {unit}")

    def stop(self, unit: str) -> None:
        """End what is in it, and forget it. One that isn't there is fine."""
        for member, signature, values in (("StopUnit", "ss", (unit, "replace")), ("ResetFailedUnit", "s", (unit,))):
            try:
                answer = self.call(member, signature, values)
            except Refused as error:
                if error.name.endswith((".NoSuchUnit", ".UnitNotLoaded")):
                    continue
                raise
            if answer:
                self._wait(answer[0])

    def change(self, unit: str, properties: list[Property]) -> None:
        """Other limits, until the unit ends."""
        told = [(name, (signature, value)) for name, signature, value in properties]
        self.call("SetUnitProperties", "sba(sv)", (unit, True, told))

    def call(self, member: str, signature: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """One question to the manager, and its answer. Raises Refused."""
        from jeepney import DBusAddress, HeaderFields, MessageType, new_method_call

        address = DBusAddress("/org/freedesktop/systemd1", bus_name=NAME, interface=f"{NAME}.Manager")
        self.serial += 1
        self.socket.sendall(new_method_call(address, member, signature, values).serialise(serial=self.serial))
        deadline = time.monotonic() + PATIENCE
        while True:
            message = self._receive(deadline, member)
            if message.header.fields.get(HeaderFields.reply_serial) == self.serial:
                break
        if message.header.message_type is MessageType.error:
            name = message.header.fields.get(HeaderFields.error_name, "")
            raise Refused(name, f"systemd refused {member}: {message.body[0] if message.body else name}")
        return tuple(message.body)

    def _wait(self, job: str) -> str:
        deadline = time.monotonic() + PATIENCE
        while job not in self.jobs:
            self._receive(deadline, f"the job {job}")
        return self.jobs.pop(job)

    def _receive(self, deadline: float, what: str) -> Any:  # noqa: ANN401 - jeepney has no types
        """The next message; that a job has ended is noted on the way."""
        from jeepney import HeaderFields

        while (message := self.parser.get_next_message()) is None:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                raise MinidockError(f"systemd didn't answer in {PATIENCE:.0f} s: {what}") from None
            if not data:
                raise MinidockError(f"systemd hung up instead of answering: {what}")
            self.parser.add_data(data)
        if message.header.fields.get(HeaderFields.member) == "JobRemoved":
            _, job, _, result = message.body
            self.jobs[job] = result
        return message


def demo() -> None:
    """Ask the first process for its version, where it is systemd."""
    from jeepney import DBusAddress, HeaderFields, Properties

    try:
        with Manager() as manager:
            properties = Properties(DBusAddress("/org/freedesktop/systemd1", NAME, f"{NAME}.Manager"))
            manager.socket.sendall(properties.get("Version").serialise(serial=1))
            answer = manager._receive(time.monotonic() + PATIENCE, "Version")
            print(f"answer to message {answer.header.fields[HeaderFields.reply_serial]}: systemd {answer.body[0][1]}")
    except Unsupported as error:
        print(f"{error}\n{error.hint}")


if __name__ == "__main__":
    demo()
