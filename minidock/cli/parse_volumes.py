"""-v and --tmpfs: what of the host, of a volume or of memory appears where in the container.

-v      [source:]target[:options]    source with a slash or dot in front is a path of the host, else a volume's name
--tmpfs target[:options]
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence

from ..errors import UsageError
from ..model.mount_checks import MODES, check_mode, target_problem


def parse_volumes(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """(binds "source:target[:options]" with absolute host paths, targets of anonymous volumes)."""
    binds, anonymous = [], []
    for word in words:
        if not word:
            raise UsageError("invalid empty volume spec")
        parts = word.split(":")
        if "" in parts:
            raise UsageError(f"invalid spec: {word}: empty section between colons")
        if len(parts) == 1:
            anonymous.append(_target(word, word, "volume"))
            continue
        if len(parts) > 4:
            raise UsageError(f"invalid spec: {word}: too many colons")
        if len(parts) > 3 or (len(parts) == 2 and parts[1] in MODES and not parts[1].startswith("/")):
            raise UsageError(f"invalid volume specification: '{word}'")
        source = _host_path(parts[0])
        kind = "bind" if source.startswith("/") else "volume"
        target = _target(word, parts[1], kind)
        options = parts[2] if len(parts) == 3 else ""
        check_mode(word, kind, options)
        binds.append(":".join(filter(None, (source, target, options))))
    return binds, anonymous


def _host_path(source: str) -> str:
    """A path of the host made absolute, without resolving links; anything else is the name of a volume."""
    if source.startswith("/"):
        return posixpath.normpath(source).replace("//", "/")
    if source.startswith("."):  # no volume is called so: a directory below the one we are in
        return posixpath.normpath(posixpath.join(os.getcwd(), source))
    return source


def _target(word: str, target: str, kind: str) -> str:
    """The clean path inside. Raises with Docker's sentence when it isn't one, or is the root itself."""
    problem = target_problem(target)
    if problem:
        raise UsageError(f"invalid volume specification: '{word}': invalid mount config for type \"{kind}\": {problem}")
    return posixpath.normpath(target)


def parse_tmpfs(words: Sequence[str]) -> dict[str, str]:
    """Options by target; the last of a target wins."""
    found = {}
    for word in words:
        target, _, options = word.partition(":")
        if not target.startswith("/"):
            raise UsageError(f"invalid mount path: '{target}' mount path must be absolute")
        found[posixpath.normpath(target)] = options
    return found
