"""Names of images, by Docker's rules: `busybox` is short for `docker.io/library/busybox:latest`.

    [domain/]path[:tag][@digest]      grammar: distribution/reference

Full names are what is written down; familiar names, without what goes without saying, are what people see.
"""

from __future__ import annotations

import re

import msgspec

from minidock.errors import InvalidReference

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
ALGORITHM = "sha256"
"""Of ids and digests. No image may have it for its name: `sha256:1234` is an id."""
MAX_NAME = 255
"""Longest domain and path together, in characters."""

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_SHA256 = r"sha256:[0-9a-f]{64}"
_IDENTIFIER = r"[0-9a-f]{64}"


class Reference(msgspec.Struct, frozen=True):
    """A parsed name. `tag` and `digest` are empty where the name has none."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Full name of the repository: `docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as people write it: `busybox`, `user/app`, `registry.example:5000/app`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        return self.path.removeprefix("library/") if self.path.count("/") == 1 else self.path

    @property
    def full(self) -> str:
        return self.name + self._suffix()

    @property
    def familiar(self) -> str:
        return self.familiar_name + self._suffix()

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def tagged(self) -> Reference:
        """The same with the tag `latest` where it has neither tag nor digest."""
        return self if self.tag or self.digest else Reference(self.domain, self.path, DEFAULT_TAG)


def parse(text: str) -> Reference:
    """Read a name as people write it. Raises InvalidReference with Docker's words."""
    if re.fullmatch(_IDENTIFIER, text):
        raise InvalidReference(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    rest, digest = _cut_digest(text)
    domain, path = _split_domain(rest)
    path, colon, tag = path.partition(":")
    if path != path.lower():
        raise InvalidReference(f"invalid reference format: repository name ({path}) must be lowercase")
    if colon and not re.fullmatch(_TAG, tag):
        raise InvalidReference("invalid reference format")
    if not re.fullmatch(_PATH, path) or not re.fullmatch(_DOMAIN, domain):
        raise InvalidReference("invalid reference format")
    if len(domain) + 1 + len(path) > MAX_NAME:
        raise InvalidReference(f"repository name must not be more than {MAX_NAME} characters")
    return Reference(domain, path, tag, digest)


def _cut_digest(text: str) -> tuple[str, str]:
    rest, at, digest = text.partition("@")
    if not at:
        return text, ""
    if not re.fullmatch(_DIGEST, digest):
        raise InvalidReference("invalid reference format")
    if not re.fullmatch(_SHA256, digest):
        known = digest.startswith("sha256:")
        raise InvalidReference("invalid reference format" if known else "unsupported digest algorithm")
    return rest, digest


def _split_domain(text: str) -> tuple[str, str]:
    """Docker's rule: the first part is a host only if it could not be a part of a path."""
    first, slash, rest = text.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        domain, path = DEFAULT_DOMAIN, text
    else:
        domain, path = first, rest
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = f"library/{path}"
    return domain, path


def is_digest(text: str) -> bool:
    """Is this `sha256:` and 64 lower case hexadecimal digits: what may become a file name in the store?"""
    return re.fullmatch(_SHA256, text) is not None


def is_identifier(text: str) -> bool:
    """Could this be an image id or the beginning of one, with or without `sha256:`?"""
    return re.fullmatch(r"(?:sha256:)?[0-9a-f]{1,64}", text) is not None


def normalise(text: str) -> str:
    """The full name with a tag: what tags are filed under."""
    return parse(text).tagged().full


def familiar(full: str) -> str:
    """The short form of a full name."""
    return parse(full).familiar


def looked_for(text: str) -> str:
    """The name as Docker shows it in `No such image`: with the tag that it looked for."""
    try:
        return parse(text).tagged().familiar
    except InvalidReference:
        return text
