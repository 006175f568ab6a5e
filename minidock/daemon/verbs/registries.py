"""Registries: pulled, pushed, looked for; and who somebody is there."""

from __future__ import annotations

import msgspec

from minidock.daemon.lines import lines
from minidock.daemon.spawner import Reply
from minidock.daemon.verbs.common import Arguments, Verb, plainly, read
from minidock.engine import Engine
from minidock.errors import UsageError
from minidock.model.events import Progress


def pull(engine: Engine, given: Arguments, reply: Reply) -> object:
    with lines(reply) as told:
        engine.pull(tell=lambda one: told.say(**_line(one)), **given)
    return None


def push(engine: Engine, given: Arguments, reply: Reply) -> object:
    """A tag's last line tells its digest, which programs take from `aux`."""
    with lines(reply) as told:

        def tell(one: Progress) -> None:
            told.say(**_line(one))
            words = one.status.replace(":", " ").split()
            if "digest" in words[:2] and "size" in words:
                tag, size = words[0], words[-1]
                told.say(progressDetail={}, aux={"Tag": tag, "Digest": f"sha256:{words[3]}", "Size": int(size)})

        engine.push(tell=tell, **given)
    return None


def search(engine: Engine, given: Arguments, reply: Reply) -> object:
    """The filters are ours: a registry knows none."""
    filters = given["filters"]
    unknown = set(filters) - {"is-official", "is-automated", "stars"}
    if unknown:
        raise UsageError(f"invalid filter '{min(unknown)}'")
    rows = engine.search(given["term"], limit=given["limit"])
    for name, member in (("is-official", "is_official"), ("is-automated", "is_automated")):
        if name in filters:
            rows = [row for row in rows if row.get(member, False) == (filters[name][-1].lower() in ("1", "true"))]
    if "stars" in filters:
        rows = [row for row in rows if row["star_count"] >= int(filters["stars"][-1])]
    return rows


class LoginWish(msgspec.Struct, frozen=True):
    """Body of POST /auth."""

    username: str = ""
    password: str = ""
    serveraddress: str = ""
    identitytoken: str = ""


def login(engine: Engine, given: Arguments, reply: Reply) -> object:
    """Check only: it is the client that keeps them."""
    who = read(given["body"], LoginWish)
    token = engine.check_login(who.serveraddress, msgspec.to_builtins(who))
    return {"Status": "Login Succeeded", "IdentityToken": token}


BAR = 50


def _line(told: Progress) -> dict[str, object]:
    """A line of a pull or push, or the next state of one."""
    members: dict[str, object] = {"status": told.status}
    if told.total:
        members["progressDetail"] = {"current": told.current, "total": told.total}
        members["progress"] = bar(told.current, told.total)
    elif told.id:
        members["progressDetail"] = {}
    return {**members, "id": told.id} if told.id else members


def bar(current: int, total: int) -> str:
    """`[====>      ]  1.2MB/3.4MB`, for clients that show it as it is."""
    filled = min(BAR, current * BAR // total)
    drawn = "=" * filled + (">" if filled < BAR else "")
    return f"[{drawn:<{BAR}}] {_size(current):>7}/{_size(total)}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.4g}{unit}"
        count /= 1000
    return f"{count:.4g}GB"


VERBS: dict[str, Verb] = {
    "pull": pull,
    "push": push,
    "search": search,
    "distribution": plainly(Engine.distribution),
    "login": login,
}
