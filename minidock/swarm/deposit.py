"""A task's secrets and configs as files below /run, a tmpfs: they never reach a disk, and go with the task.

<run>/swarm-files/<task>/<number>      mode, owner and group as the service says; mounted read-only where it says
"""

from __future__ import annotations

import base64
import os
from collections.abc import Container
from pathlib import Path

from minidock.errors import MinidockError
from minidock.files import remove_tree
from minidock.swarm import containers, templates
from minidock.swarm.objects import Body


class Deposit:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def put(self, task: Body, hostname: str, secrets: dict[str, Body], configs: dict[str, Body]) -> dict[str, Path]:
        """→ path in the container: path here. Raises MinidockError for one that the managers didn't send."""
        place = self.directory / task["ID"]
        spec = task["Spec"]["ContainerSpec"]
        wanted = [("Secret", each, secrets) for each in spec.get("Secrets") or []]
        wanted += [("Config", each, configs) for each in spec.get("Configs") or [] if each.get("File")]
        if wanted:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = {}
        for number, (kind, reference, known) in enumerate(wanted):
            file, path = reference["File"], place / str(number)
            _write(path, file, self._data(task, hostname, kind, reference, known))
            found[containers.target(kind, file["Name"])] = path
        return found

    def _data(self, task: Body, hostname: str, kind: str, reference: Body, known: dict[str, Body]) -> bytes:
        spec = known.get(reference[f"{kind}ID"])
        if spec is None:
            raise MinidockError(f"{kind.lower()} {reference[f'{kind}Name']} isn't here")
        data = base64.b64decode(spec["Data"])
        if (spec.get("Templating") or {}).get("Name") != "golang":
            return data
        values = templates.values(task, containers.name(task), hostname)
        return templates.filled(data.decode(errors="surrogateescape"), values).encode(errors="surrogateescape")

    def drop(self, task_id: str) -> None:
        remove_tree(self.directory / task_id)

    def keep(self, task_ids: Container[str]) -> None:
        """Nothing of other tasks: what was taken away while the daemon was, has left its secrets here."""
        for place in self.directory.iterdir() if self.directory.exists() else ():
            if place.name not in task_ids:
                remove_tree(place)

    def clear(self) -> None:
        remove_tree(self.directory)


def _write(path: Path, file: Body, data: bytes) -> None:
    """Owner and mode before the content: nobody reads what isn't his, not even for a moment."""
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.fchown(fd, int(file.get("UID") or 0), int(file.get("GID") or 0))
        os.fchmod(fd, int(file.get("Mode", 0o444)) & 0o7777)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    finally:
        os.close(fd)
