"""Images from and to registries: what `docker pull`, `push`, `login` and `search` say and do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

from minidock.errors import MinidockError, RegistryError, UsageError
from minidock.image import reference
from minidock.image.reference import Reference
from minidock.image.store import Image, ImageStore
from minidock.model.events import Progress
from minidock.paths import Layout
from minidock.steps import SILENT, Narrator

Tell = Callable[[Progress], None]


def pull(
    layout: Layout,
    text: str,
    *,
    all_tags: bool = False,
    platform: str = "",
    tell: Tell,
    auth: dict[str, str] | None,
    narrator: Narrator = SILENT,
) -> str:
    """The familiar name of what was pulled. `auth` is an AuthConfig of the Engine API; None asks config.json."""
    from minidock.image.registry import pull as pulling

    store = ImageStore(layout)
    name = reference.parse(text)
    credentials = _credentials(auth)
    if all_tags:
        if name.tag or name.digest:
            raise UsageError("tag can't be used with --all-tags/-a")
        pulled = pulling.pull_all(store, name, platform=platform, tell=tell, credentials=credentials, narrator=narrator)
        if pulled:
            _happened(layout, "pull", pulled[-1].image, name)
        fresh = any(one.fresh for one in pulled)
        tell(Progress("", _status(fresh, name.familiar)))
        return name.familiar
    name = Reference(name.domain, name.path, digest=name.digest) if name.digest else name.tagged()
    one = pulling.pull(store, name, platform=platform, tell=tell, credentials=credentials, narrator=narrator)
    _happened(layout, "pull", one.image, name)
    tell(Progress("", f"Digest: {one.digest}"))
    tell(Progress("", _status(one.fresh, name.familiar)))
    _warn_of_platform(text, one.image, platform, tell)
    return name.familiar


def _happened(layout: Layout, action: str, image: Image, name: Reference) -> None:
    """As Docker has it: an event of the name that was pulled or pushed, with the image's labels."""
    from minidock.engine import events

    events.image(layout, action, name.familiar, name=name.familiar_name, labels=image.config.config.labels)


def _status(fresh: bool, name: str) -> str:
    return f"Status: {'Downloaded newer image' if fresh else 'Image is up to date'} for {name}"


def _warn_of_platform(text: str, image: Image, asked: str, tell: Tell) -> None:
    """A registry with one image for all gives that one, whatever was asked for."""
    if not asked:
        return
    from minidock.image.platforms import parse_platform

    wanted = parse_platform(asked)
    if (image.os, image.architecture) != (wanted.os, wanted.architecture):
        actual = f"{image.os}/{image.architecture}"
        sentence = f"does not match the specified platform: wanted {wanted}, actual: {actual}"
        tell(Progress("", f"WARNING: image with reference {text} was found but {sentence}"))


def push(layout: Layout, text: str, *, all_tags: bool = False, tell: Tell, auth: dict[str, str] | None) -> None:
    """One tag, or all that the repository has here. Raises NotFound in Docker's words, RegistryError."""
    from minidock.image.registry import push as pushing

    store = ImageStore(layout)
    name = reference.parse(text)
    if name.digest:
        raise UsageError("cannot push a digest reference")
    if all_tags and name.tag:
        raise UsageError("tag can't be used with --all-tags/-a")
    tell(Progress("", f"The push refers to repository [{name.name}]"))
    tags = store.read_tags()
    names = sorted(full for full in tags if full.startswith(f"{name.name}:")) if all_tags else [name.tagged().full]
    if not names or names[0] not in tags:
        raise MinidockError(f"An image does not exist locally with the tag: {name.familiar_name}")
    for full in names:
        pushing.push(store, reference.parse(full), tell=tell, credentials=_credentials(auth))
    _happened(layout, "push", store.find(names[0]), name if all_tags else name.tagged())


def _credentials(auth: dict[str, str] | None) -> Any:  # noqa: ANN401 - a type of what isn't imported unless needed
    if auth is None:
        return None
    from minidock.image.registry.auth import Credentials

    return Credentials(
        auth.get("username", ""),
        auth.get("password", ""),
        auth.get("identitytoken", ""),
        auth.get("registrytoken", ""),
    )


# Who we are


def login(layout: Layout, server: str, username: str, password: str) -> str:
    """Check and keep them, or without any those that are kept; the file in which they newly stand bare, or nothing."""
    from minidock.image.registry import config
    from minidock.image.registry import login as logins
    from minidock.image.registry.auth import Credentials

    who = Credentials(username, password) if username else config.DockerConfig().credentials(server)
    _, bare = logins.login(layout, server, who)
    return str(config.path()) if bare else ""


def check_login(layout: Layout, server: str, who: dict[str, str]) -> str:
    """Are these the right ones? A token to keep instead of the password, or nothing. Raises RegistryError."""
    from minidock.image.registry import login as logins

    return logins.check(layout, server, _credentials(who)).identity_token


def known_user(server: str) -> str:
    """Whose credentials are kept of a server."""
    from minidock.image.registry.config import DockerConfig

    return DockerConfig().credentials(server).username


def logout(server: str) -> str:
    """Forget them; under which name they were."""
    from minidock.image.registry.config import DockerConfig, server_key

    DockerConfig().erase(server)
    return server_key(server)


# Looking without pulling


def search(layout: Layout, term: str, limit: int) -> list[dict[str, Any]]:
    """Rows of GET /images/search."""
    from minidock.image.registry import search as searching

    if limit and not 1 <= limit <= 100:
        raise UsageError(f"Limit {limit} is outside the range of [1, 100]")
    return [msgspec.to_builtins(hit) for hit in searching.search(layout, term, limit)]


def distribution(layout: Layout, text: str, auth: dict[str, str] | None) -> dict[str, Any]:
    """API `DistributionInspect`: digest and platforms of what a registry has under the name."""
    from minidock.image.registry import client
    from minidock.image.registry.pull import closing

    name = reference.parse(text).tagged()
    refused = RegistryError(f"nobody to ask about {text}")
    for repository in client.repositories(layout, name, mirrors=True, credentials=_credentials(auth)):
        with closing(repository):
            try:
                return _found_there(repository, repository.manifest(name.digest or name.tag), name.familiar)
            except RegistryError as error:
                refused = error
    raise refused


def _found_there(repository: Any, found: Any, name: str) -> dict[str, Any]:  # noqa: ANN401
    from minidock.engine.manifests import described

    document = json.loads(found.raw)
    if "manifests" in document:
        platforms = [one["platform"] for one in document["manifests"] if "platform" in one]
    else:
        platforms = [described(repository, found, name)["Descriptor"]["platform"]]
    descriptor = {"mediaType": found.media_type, "digest": found.digest, "size": len(found.raw)}
    return {"Descriptor": descriptor, "Platforms": platforms}


# Who we are, for another daemon that goes to the registry on our behalf


def auth_of(text: str) -> dict[str, str]:
    """API `AuthConfig` of the registry that an image's name means; what isn't a name has none."""
    try:
        return auth_of_server(reference.parse(text).domain)
    except MinidockError:
        return {}


def auth_of_server(server: str) -> dict[str, str]:
    """The same of a registry by its own name, from config.json."""
    from minidock.image.registry.config import DockerConfig, server_key

    who = DockerConfig().credentials(server)
    members = {
        "username": who.username,
        "password": who.password,
        "identitytoken": who.identity_token,
        "registrytoken": who.registry_token,
    }
    known = {name: value for name, value in members.items() if value}
    return {**known, "serveraddress": server_key(server)} if known else {}


def all_auths() -> dict[str, dict[str, str]]:
    """API `X-Registry-Config`: of every registry that config.json knows, for a build that may pull from any."""
    from minidock.image.registry.config import DockerConfig

    return {server: auth for server in DockerConfig().servers() if (auth := auth_of_server(server))}


def keep(server: str, username: str, password: str, identity_token: str) -> str:
    """Write down what a daemon has checked; the file in which it newly stands bare, or nothing."""
    from minidock.image.registry import config
    from minidock.image.registry.auth import Credentials

    bare = config.DockerConfig().store(server, Credentials(username, password, identity_token))
    return str(config.path()) if bare else ""


def familiar(text: str) -> str:
    return reference.familiar(reference.normalise(text))
