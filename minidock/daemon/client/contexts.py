"""Contexts: daemons by name, in Docker's own store below ~/.docker, so that both clients see the same ones.

    config.json                                  {"currentContext": "lab", …}
    contexts/meta/SHA256-OF-NAME/meta.json       {"Name": …, "Metadata": {"Description": …}, "Endpoints": {"docker": …}}
    contexts/tls/SHA256-OF-NAME/docker/ca.pem    cert.pem, key.pem

`default` is no file: it is DOCKER_HOST, and without that this host's engine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from minidock import files
from minidock.errors import MinidockError, NotFound, UsageError

DEFAULT = "default"
NAME = "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"
TLS_FILES = ("ca.pem", "cert.pem", "key.pem")


class Context(msgspec.Struct, frozen=True):
    """One of them. `metadata` is all that its file has under that name: Docker's own keys, and others'."""

    name: str
    host: str
    description: str = ""
    skip_tls_verify: bool = False
    metadata: dict[str, Any] = {}
    others: dict[str, Any] = {}
    """Endpoints that aren't Docker's (an orchestrator's): kept as they are."""

    def document(self) -> dict[str, Any]:
        """As its file has it."""
        told = {**self.metadata, **({"Description": self.description} if self.description else {})}
        docker = {"Host": self.host, "SkipTLSVerify": self.skip_tls_verify}
        return {"Name": self.name, "Metadata": told, "Endpoints": {**self.others, "docker": docker}}


def from_document(document: dict[str, Any]) -> Context:
    """Raises MinidockError for what isn't one."""
    try:
        metadata = dict(document.get("Metadata") or {})
        endpoints = dict(document.get("Endpoints") or {})
        docker = endpoints.pop("docker", None) or {}
        description = metadata.pop("Description", "")
        skip = bool(docker.get("SkipTLSVerify"))
        return Context(document["Name"], docker.get("Host", ""), description, skip, metadata, endpoints)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MinidockError(f"invalid metadata of a context: {error!r}") from error


def config_directory(asked: str, environment: Mapping[str, str]) -> Path:
    """--config, DOCKER_CONFIG, ~/.docker."""
    return Path(asked or environment.get("DOCKER_CONFIG") or Path(environment.get("HOME") or "/") / ".docker")


def check_name(name: str) -> None:
    if name == DEFAULT:
        raise UsageError('"default" is a reserved context name')
    if not re.fullmatch(NAME, name, re.ASCII):
        raise UsageError(f'context name "{name}" is invalid, names are validated against regexp "{NAME}"')


class Store:
    """All contexts of a user."""

    def __init__(self, directory: Path) -> None:
        self.config = directory / "config.json"
        self.meta = directory / "contexts" / "meta"
        self.tls = directory / "contexts" / "tls"

    def path(self, name: str) -> Path:
        return self.meta / sha256(name.encode()).hexdigest() / "meta.json"

    def tls_directory(self, name: str) -> Path:
        return self.tls / sha256(name.encode()).hexdigest() / "docker"

    def read(self, name: str) -> Context:
        """Raises NotFound in Docker's words."""
        path = self.path(name)
        try:
            return from_document(files.read_json(path, dict[str, Any]))
        except FileNotFoundError:
            reason = f"context not found: open {path}: no such file or directory"
            raise NotFound(f'context "{name}": {reason}') from None

    def exists(self, name: str) -> bool:
        return self.path(name).exists()

    def all(self) -> list[Context]:
        """By name."""
        found = [from_document(files.read_json(path, dict[str, Any])) for path in self.meta.glob("*/meta.json")]
        return sorted(found, key=lambda context: context.name)

    def write(self, context: Context, tls: Mapping[str, bytes] | None = None) -> None:
        """`tls` has contents by the file's name; None leaves what is there. Keys are the owner's alone."""
        if tls is not None:
            files.remove_tree(self.tls_directory(context.name).parent)
            for name, data in tls.items():
                self.tls_directory(context.name).mkdir(parents=True, exist_ok=True, mode=0o700)
                files.write_atomic(self.tls_directory(context.name) / name, data, mode=0o600)
        path = self.path(context.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(path, msgspec.json.encode(context.document()))

    def tls_files(self, name: str) -> dict[str, bytes]:
        directory = self.tls_directory(name)
        return {path.name: path.read_bytes() for path in sorted(directory.glob("*")) if path.is_file()}

    def remove(self, name: str) -> None:
        files.remove_tree(self.tls_directory(name).parent)
        files.remove_tree(self.path(name).parent)

    # which one is in use

    def current(self, environment: Mapping[str, str]) -> str:
        """DOCKER_CONTEXT, or what `context use` has written down; whether it is there or not."""
        return environment.get("DOCKER_CONTEXT") or self._configuration().get("currentContext") or DEFAULT

    def use(self, name: str) -> None:
        """Everything else in Docker's file stays as it is."""
        found = self._configuration()
        found.pop("currentContext", None)
        if name != DEFAULT:
            found["currentContext"] = name
        self.config.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        mode = self.config.stat().st_mode & 0o777 if self.config.exists() else 0o600  # it may hold passwords
        files.write_atomic(self.config, msgspec.json.format(msgspec.json.encode(found), indent=8) + b"\n", mode=mode)

    def _configuration(self) -> dict[str, Any]:
        try:
            return files.read_json(self.config, dict[str, Any])
        except FileNotFoundError:
            return {}
