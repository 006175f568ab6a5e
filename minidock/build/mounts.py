"""`RUN --mount=type=…`: what a RUN sees for its duration, and no layer ever has."""

from __future__ import annotations

import msgspec

from minidock.errors import MinidockError
from minidock.sizes import parse_size

from .grammar import Flag, Instruction, guess

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING = ("shared", "private", "locked")
KEYS = {
    key: key
    for key in (
        *("type", "from", "source", "target", "readonly", "readwrite", "required", "size", "id", "sharing"),
        *("mode", "uid", "gid", "env"),
    )
} | {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}
SWITCHES = ("readonly", "readwrite", "required")
FORMS = {
    "bind": "type=bind,target=PATH[,source=PATH][,from=STAGE][,rw]",
    "cache": "type=cache,target=PATH[,id=NAME][,sharing=shared|private|locked][,mode=0755][,uid=0][,gid=0]",
    "tmpfs": "type=tmpfs,target=PATH[,size=64m]",
    "secret": "type=secret,id=NAME[,target=PATH][,env=NAME][,required=true][,mode=0400][,uid=0][,gid=0]",
    "ssh": "type=ssh[,id=default][,target=PATH][,required=true][,mode=0600][,uid=0][,gid=0]",
}
"""Type → how it is written: what an error says was expected."""


class RunMount(msgspec.Struct, frozen=True):
    """As it is written; texts may hold variables. `readonly` None: what the type has by default."""

    flag: Flag
    type: str = "bind"
    source_stage: str = ""
    source: str = ""
    target: str = ""
    readonly: bool | None = None
    required: bool = False
    size: int = 0
    id: str = ""
    sharing: str = "shared"
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    env: str | None = None


def parse_mount(at: Instruction, flag: Flag) -> RunMount:
    """Raises DockerfileError."""
    import csv

    hint = f"expected type={', '.join(TYPES[:-1])} or {TYPES[-1]}"
    try:
        fields = next(csv.reader([flag.value]), [])
        kind = next((field.lower()[5:] for field in fields if field.lower().startswith("type=")), "bind")
        hint = f"expected {FORMS[kind]}" if kind in FORMS else hint
        return _checked(flag, dict(_field(field) for field in fields))
    except MinidockError as error:
        raise at.error(error.message, flag, hint=hint) from None
    except csv.Error as error:
        raise at.error(f"failed to parse csv mounts: {error}", flag, hint=hint) from None


def _field(field: str) -> tuple[str, str]:
    written, equals, value = field.partition("=")
    key = KEYS.get(written.lower())
    if key is None:
        if not equals:
            raise MinidockError(f"invalid field '{field}' must be a key=value pair")
        raise MinidockError(f"unexpected key '{written}' in '{field}'{guess(written.lower(), KEYS)}")
    if not equals:
        if key not in SWITCHES:
            raise MinidockError(f"invalid field '{field}' must be a key=value pair")
        value = "true"
    return key, value


def _checked(flag: Flag, given: dict[str, str]) -> RunMount:
    kind = given.get("type", "bind").lower()
    if kind not in TYPES:
        raise MinidockError(f'unsupported mount type "{given["type"]}"')
    _allow(given, kind, "required", ("secret", "ssh"))
    _allow(given, kind, "size", ("tmpfs",))
    sharing = given.get("sharing", "shared").lower()
    if sharing not in SHARING:
        raise MinidockError(f'unsupported sharing value "{given["sharing"]}"')
    if "sharing" in given and kind != "cache":
        raise MinidockError(f"invalid cache sharing set for {kind} mount")
    for key in ("mode", "uid", "gid"):
        if key in given and kind not in ("secret", "ssh", "cache"):
            raise MinidockError(f'{key} not allowed for "{kind}" type mounts')
    if kind == "secret":
        _check_secret(given)
    elif kind != "ssh" and not given.get("target"):
        raise MinidockError(f"invalid mount: a {kind} mount needs a target")
    if "$" in given.get("from", ""):
        raise MinidockError("'from' doesn't support variable expansion, define alias stage instead")
    return RunMount(
        flag,
        kind,
        given.get("from", ""),
        given.get("source", ""),
        given.get("target", ""),
        _readonly(given),
        _truth("required", given.get("required", "false")),
        parse_size(given["size"]) if "size" in given else 0,
        given.get("id", ""),
        sharing,
        _number(given, "mode", 8),
        _number(given, "uid", 10) or 0,
        _number(given, "gid", 10) or 0,
        given.get("env"),
    )


def _readonly(given: dict[str, str]) -> bool | None:
    if "readonly" in given:
        return _truth("readonly", given["readonly"])
    return not _truth("readwrite", given["readwrite"]) if "readwrite" in given else None


def _allow(given: dict[str, str], kind: str, key: str, kinds: tuple[str, ...]) -> None:
    if key in given and kind not in kinds:
        raise MinidockError(f"unexpected key '{key}' for mount type '{kind}'")


def _check_secret(given: dict[str, str]) -> None:
    if given.get("from"):
        raise MinidockError("secret mount should not have a from")
    if not (given.get("source") or given.get("target") or given.get("id")):
        raise MinidockError("invalid secret mount. one of source, target required")
    if given.get("source") and given.get("id"):
        raise MinidockError("both source and id can't be set")


def _truth(key: str, value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0", "t", "f"):
        raise MinidockError(f"invalid value for {key}: {value}")
    return value.lower() in ("true", "1", "t")


def _number(given: dict[str, str], key: str, base: int) -> int | None:
    if key not in given:
        return None
    try:
        return int(given[key], base)
    except ValueError:
        raise MinidockError(f"invalid value {given[key]} for {key}") from None
