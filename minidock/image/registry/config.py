"""Who we are at a registry: ~/.docker/config.json, read and written as Docker does, and credential helpers.

    {"auths": {"registry.example:5000": {"auth": base64("user:password")}},
     "credsStore": "pass", "credHelpers": {"other.example": "ecr-login"}, "HttpHeaders": {"X-Meta": "…"}}

A helper is a program `docker-credential-NAME` that is told `get`, `store` or `erase`, reads the server or a JSON
document from stdin and answers with one (github.com/docker/docker-credential-helpers). What we don't know in the file
stays in it.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from minidock import files
from minidock.errors import MinidockError

from .auth import NOBODY, Credentials

HUB = "https://index.docker.io/v1/"
"""Under which name Docker has always filed the credentials of docker.io."""
TOKEN_USER = "<token>"  # noqa: S105 - the protocol's word
"""A helper's user name when its secret is an identity token."""
MISSING = "credentials not found in native keychain"
PATIENCE = 60


def path() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def server_key(server: str) -> str:
    """What a server's credentials are filed under: its host, without scheme and path; docker.io has its old name."""
    host = re.sub(r"^https?://", "", server).partition("/")[0]
    return HUB if host in ("", "docker.io", "index.docker.io", "registry-1.docker.io") else host


class DockerConfig:
    """The file's contents."""

    def __init__(self, where: Path | None = None) -> None:
        self.path = where or path()
        self._document = self._read()

    def _read(self) -> dict[str, Any]:
        try:
            text = self.path.read_text()
        except FileNotFoundError:
            return {}
        try:
            document = json.loads(text) if text.strip() else {}
        except (ValueError, RecursionError) as error:
            raise MinidockError(f"{self.path}: not JSON: {error}", hint="mend it or remove it") from None
        if not isinstance(document, dict):
            raise MinidockError(f"{self.path}: not a JSON object", hint="mend it or remove it")
        return document

    def _section(self, name: str) -> dict[str, Any]:
        found = self._document.get(name)
        return found if isinstance(found, dict) else {}

    @property
    def headers(self) -> dict[str, str]:
        """HttpHeaders: sent to every registry, but never in place of headers of the protocol."""
        return {key: value for key, value in self._section("HttpHeaders").items() if isinstance(value, str)}

    def helper(self, key: str) -> str:
        """The name of the helper that keeps this server's credentials; empty when the file does."""
        name = self._section("credHelpers").get(key) or self._document.get("credsStore") or ""
        if name and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", str(name)):
            raise MinidockError(f"{self.path}: not the name of a credential helper: {name!r}")
        return str(name)

    def servers(self) -> list[str]:
        """Those that somebody has logged in to."""
        return [*self._section("auths"), *(name for name in self._section("credHelpers"))]

    def credentials(self, server: str) -> Credentials:
        """Of a domain or server; NOBODY when there are none."""
        key = server_key(server)
        if name := self.helper(key):
            return _ask(name, key)
        auths = self._section("auths")
        entry = auths.get(key)
        if entry is None:  # older Dockers filed whole addresses
            entry = next((value for other, value in auths.items() if server_key(other) == key), None)
        return self._decoded(key, entry) if isinstance(entry, dict) else NOBODY

    def _decoded(self, key: str, entry: dict[str, Any]) -> Credentials:
        username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
        if auth := entry.get("auth"):
            try:
                username, _, password = base64.b64decode(str(auth), validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                hint = "minidock login writes it anew"
                raise MinidockError(f"{self.path}: damaged credentials of {key}", hint=hint) from None
        password = password.rstrip("\0")
        return Credentials(
            username, password, str(entry.get("identitytoken") or ""), str(entry.get("registrytoken") or "")
        )

    def store(self, server: str, credentials: Credentials) -> bool:
        """Keep them; True when they now stand in the file, readable by whoever reads it."""
        key = server_key(server)
        auths = self._document.setdefault("auths", {})
        if name := self.helper(key):
            secret = credentials.identity_token or credentials.password
            user = TOKEN_USER if credentials.identity_token else credentials.username
            document = {"ServerURL": key, "Username": user, "Secret": secret}
            _run(name, "store", json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n")
            auths[key] = {}
            self._write()
            return False
        plain = f"{credentials.username}:{'' if credentials.identity_token else credentials.password}"
        entry = {"auth": base64.b64encode(plain.encode()).decode()}
        if credentials.identity_token:
            entry["identitytoken"] = credentials.identity_token
        before = auths.get(key)
        auths[key] = entry
        self._write()
        return bool(before != entry)

    def erase(self, server: str) -> None:
        key = server_key(server)
        if name := self.helper(key):
            _run(name, "erase", key)
        auths = self._section("auths")
        doomed = [other for other in auths if server_key(other) == key]
        for other in doomed:
            del auths[other]
        if doomed:
            self._write()

    def _write(self) -> None:
        """As Docker writes it: tabs, mode 0600; where a symlink leads, for people keep their dot files elsewhere."""
        where = self.path.resolve()
        where.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        ordered = {"auths": self._section("auths"), **self._document}
        text = json.dumps(ordered, indent="\t", ensure_ascii=False)
        files.write_atomic(where, text.encode("utf-8", "surrogatepass"), mode=0o600)


# Helpers


def _ask(name: str, key: str) -> Credentials:
    answer = _run(name, "get", key)
    if answer is None:
        return NOBODY
    try:
        found = json.loads(answer)
        username, secret = str(found["Username"]), str(found["Secret"])
    except (ValueError, KeyError, TypeError):
        raise MinidockError(f"docker-credential-{name}: its answer can't be understood") from None
    if username == TOKEN_USER:
        return Credentials(identity_token=secret)
    return Credentials(username, secret)


def _run(name: str, verb: str, given: str) -> str | None:
    """What the helper says; None when it has nothing of this server."""
    program = f"docker-credential-{name}"
    try:
        done = subprocess.run([program, verb], input=given, capture_output=True, text=True, timeout=PATIENCE)
    except FileNotFoundError:
        hint = "install it, or take credsStore and credHelpers out of config.json"
        raise MinidockError(
            f"error getting credentials: {program}: executable file not found in $PATH", hint=hint
        ) from None
    except subprocess.TimeoutExpired:
        raise MinidockError(f"error getting credentials: {program} does not answer") from None
    if done.returncode == 0:
        return done.stdout
    said = " ".join((done.stdout.strip() or done.stderr.strip()).split())
    if said.lower().startswith(MISSING):
        return None
    raise MinidockError(f"error getting credentials: {program} {verb}: {said[:300] or f'exit {done.returncode}'}")
