"""What an image looks like, so that two builders' images can be compared."""

from __future__ import annotations

import stat
from typing import Any

import msgspec

from minidock.build.tree import Tree
from minidock.image.store import Image, ImageStore


def tree_of(store: ImageStore, image: Image) -> dict[str, str]:
    """Path → kind, mode, owner, content or target, attributes. Not times: a RUN's are those of its moment."""
    rows = {}
    tree = Tree(store.lower_dirs(image))
    for parts, directory, status in tree.walk():
        name = parts[-1]
        kind = stat.S_IFMT(status.st_mode)
        facts = [f"{status.st_mode:o} {status.st_uid}:{status.st_gid}"]
        if kind == stat.S_IFREG:
            fd = directory.open(name)
            with open(fd, "rb") as file:
                facts.append(repr(file.read()[:2000]))
            facts.append(str(status.st_size))
        elif kind == stat.S_IFLNK:
            facts.append(directory.readlink(name))
        facts += [f"{key}={value!r}" for key, value in directory.xattrs(name).items()]
        rows["/".join(parts)] = " ".join(facts)
    return rows


def config_of(image: Image) -> dict[str, Any]:
    """What the image runs, as it is written, without what is empty."""
    config = {key: value for key, value in msgspec.to_builtins(image.config.config).items() if value}
    config["Author"] = image.config.author
    return config


def differences(who: str, theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    return [
        f"{key}: {who} {theirs.get(key)!r}, minidock {ours.get(key)!r}"
        for key in sorted({*theirs, *ours})
        if theirs.get(key) != ours.get(key)
    ]
