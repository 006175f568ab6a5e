"""build, builder prune."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ..errors import BuildFailed, DockerfileError, MinidockError, UsageError
from . import context
from .build_flags import FLAGS
from .commands import Complaint, one_line, verb
from .flags import FlagValue, boolean, many, value
from .units import size

if TYPE_CHECKING:
    from ..engine.build_request import BuildRequest, Built
    from .build_progress import Progress


@verb(
    "build",
    "Build an image from a Dockerfile",
    "[OPTIONS] PATH | URL | -",
    flags=FLAGS,
    least=1,
    aliases=("minidock build", "minidock image build", "minidock builder build"),
    examples="""
        minidock build -t app:1 .
        minidock build -t app:1 -f docker/Dockerfile --build-arg VERSION=2 --target release .
        minidock build --secret id=token,src=token.txt --progress plain .
        minidock build --push -t registry.example.org:5000/team/app:1 .
        minidock build -o dist --target binaries .
        minidock build --check .
        minidock build - < Dockerfile
    """,
)
def build(arguments: list[str], **flags: FlagValue) -> None:
    request = make_request(arguments[0], flags)
    if flags["check"] or flags["call"] == "check":
        return _check(request)
    if flags["dry_run"] or flags["as_shell"]:
        return _only_tell(request, as_shell=flags["as_shell"])
    from .build_progress import choose
    from .telling import narrating

    progress = choose("quiet" if flags["quiet"] else flags["progress"], explain=flags["explain"])
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        with narrating(flags["explain"]) as told:
            built = context.engine().build(
                request,
                stdin=sys.stdin.buffer,
                stdout=sys.stdout.buffer,
                tell=progress,
                tick=progress.tick,
                narrator=told,
            )
    except BaseException as error:
        progress.close(failed=True)
        _tell_failure(error, progress)
        raise
    progress.close()
    if flags["push"]:
        _push(built, quiet=progress.is_quiet)
    _report(built, flags, quiet=progress.is_quiet)
    return None


def _only_tell(request: BuildRequest, *, as_shell: bool) -> None:
    from .telling import foretell

    try:
        told = context.engine().foretell_build(request, stdin=sys.stdin.buffer, as_shell=as_shell)
    except (BuildFailed, DockerfileError) as error:
        context.say(error.excerpt)
        raise Complaint(f"ERROR: failed to build: failed to solve: {one_line(error)}", 1) from error
    foretell(told, as_shell=as_shell)


def _push(built: Built, *, quiet: bool) -> None:
    """Like the build's own progress on standard error: standard output has the image's id, or what -o sends there."""
    from .progress import Display
    from .registries import nothing

    tell = nothing if quiet else Display(sys.stderr)
    for name in built.names:
        context.engine().push(name, all_tags=False, tell=tell)


def _interrupted(number: int, _: object) -> NoReturn:
    raise KeyboardInterrupt


def make_request(path: str, flags: dict[str, FlagValue]) -> BuildRequest:
    """Raises UsageError for flags that can't be right together."""
    from ..engine.build import source_date_epoch
    from ..engine.build_request import BuildRequest
    from .parse_env import key_values

    if not flags["rm"]:
        raise UsageError("--rm=false is not supported by this version of minidock: what a RUN leaves is a layer")
    if not flags["disable_content_trust"]:
        raise UsageError("--disable-content-trust=false is not supported by this version of minidock")
    if flags["push"] and not flags["tag"]:
        raise UsageError("tag is needed when pushing to registry")
    if flags["push"] and any(output.kind != "image" for output in flags["output"]):
        raise UsageError("--push can't be used with an --output that makes no image")
    build_args = {name: given for name, given in flags["build_arg"] if given is not None}
    return BuildRequest(
        context=path,
        file=flags["file"],
        tags=_tags([*flags["tag"], *(name for output in flags["output"] for name in output.names)]),
        build_args=build_args,
        labels=key_values(flags["label"]),
        target=flags["target"],
        platform=flags["platform"],
        pull=flags["pull"],
        no_cache=flags["no_cache"],
        no_cache_stages=[name for names in flags["no_cache_filter"] for name in names],
        cache_from=flags["cache_from"],
        inline_cache=bool(flags["cache_to"]) or build_args.get("BUILDKIT_INLINE_CACHE") == "1",
        network=flags["network"],
        contexts=dict(flags["build_context"]),
        allow=flags["allow"],
        limits=_limits(flags),
        secrets=dict(flags["secret"]),
        ssh=dict(flags["ssh"]),
        outputs=flags["output"],
        squash=flags["squash"],
        epoch=source_date_epoch(build_args),
    )


def _tags(words: list[str]) -> list[str]:
    for word in words:
        if "@" in word:
            raise UsageError(f'invalid tag "{word}": a tag can\'t have a digest')
    return words


def _limits(flags: dict[str, FlagValue]) -> FlagValue:
    from ..model.host import HostConfig
    from .request import security_options

    options, masked, readonly = security_options([word for words in flags["security_opt"] for word in words])
    return HostConfig(
        extra_hosts=flags["add_host"],
        security_opt=options,
        masked_paths=masked,
        readonly_paths=readonly,
        ulimits=flags["ulimit"],
        shm_size=flags["shm_size"],
        memory=flags["memory"],
        memory_swap=flags["memory_swap"],
        cpu_shares=flags["cpu_shares"],
        cpu_period=flags["cpu_period"],
        cpu_quota=flags["cpu_quota"],
        cpuset_cpus=flags["cpuset_cpus"],
        cpuset_mems=flags["cpuset_mems"],
        cgroup_parent=flags["cgroup_parent"],
    )


# What is told afterwards


def _tell_failure(error: BaseException, progress: Progress) -> None:
    """As BuildKit does: the step's last words, the place in the Dockerfile, one line. Raises Complaint."""
    if isinstance(error, KeyboardInterrupt):
        context.say("ERROR: failed to build: canceled")
        raise Complaint("", 130) from None
    if not isinstance(error, MinidockError):
        return
    if progress.failed is not None:
        lines = [*progress.failed.said, *getattr(error, "output", "").splitlines()]
        context.say("\n".join(["------", f" > {progress.failed.text}:", *lines, "------"]))
    if isinstance(error, BuildFailed | DockerfileError) and error.excerpt:
        context.say(error.excerpt)
    raise Complaint(f"ERROR: failed to build: failed to solve: {one_line(error)}", 1) from error


def _report(built: Built, flags: dict[str, FlagValue], *, quiet: bool) -> None:
    if flags["iidfile"]:
        Path(flags["iidfile"]).write_text(built.image_id)
    if flags["metadata_file"]:
        facts = {"containerimage.config.digest": built.image_id, "containerimage.digest": built.manifest_digest}
        if built.names:
            facts["image.name"] = ",".join(built.names)
        Path(flags["metadata_file"]).write_text(json.dumps(facts, indent=2) + "\n")
    if built.unused_args:
        context.say(f"[Warning] One or more build-args [{' '.join(built.unused_args)}] were not consumed")
    if quiet:
        print(built.image_id)
    elif built.findings:
        count = len(built.findings)
        context.say(f"\n {count} warning{'s' if count > 1 else ''} found (see minidock build --check):")
        for finding in built.findings:
            context.say(f" - {finding.rule}: {finding.message} (line {finding.line})")


def _check(request: BuildRequest) -> None:
    """--check: 0 when nothing is found."""
    try:
        checked = context.engine().check_build(request, stdin=sys.stdin.buffer)
    except DockerfileError as error:
        context.say(error.excerpt)
        raise Complaint(f"ERROR: failed to build: failed to solve: {one_line(error)}", 1) from error
    found = checked.findings
    if not found:
        print("Check complete, no warnings found.")
        return
    plural = "s have" if len(found) > 1 else " has"
    print(f"Check complete, {len(found)} warning{plural} been found!")
    for finding in found:
        print(f"\nWARNING: {finding.rule}\n{finding.message}\n{finding.excerpt}")
    sys.stdout.flush()
    raise Complaint("", 1)


# The cache


@verb(
    "prune",
    "Remove build cache",
    "[OPTIONS]",
    flags=[
        boolean("all", "a", "Remove all unused build cache, not just dangling ones"),
        many("filter", "", 'Provide filter values (e.g. "until=24h")', kind="filter"),
        boolean("force", "f", "Do not prompt for confirmation"),
        value("keep-storage", "", "Amount of disk space to keep for cache", "bytes", size, default=0),
    ],
    aliases=("minidock builder prune", "minidock build prune"),
    examples="""
        minidock builder prune -f
        minidock builder prune -af --filter until=24h
    """,
)
def prune(all: bool, filter: list[str], force: bool, keep_storage: int) -> None:
    older_than = _until(filter)
    what = "all build cache" if all else "all dangling build cache"
    if not force and not _agreed(f"WARNING! This will remove {what}. Are you sure you want to continue? [y/N] "):
        return
    from .units import human_size

    gone, freed = context.engine().prune_build_cache(all=all, older_than=older_than, keep_bytes=keep_storage)
    if gone:
        print("Deleted build cache objects:")
        for key in gone:
            print(key)
        print()
    print(f"Total reclaimed space: {human_size(freed)}")


def _until(words: list[str]) -> float | None:
    from .units import duration

    older = None
    for word in words:
        name, _, given = word.partition("=")
        if name not in ("until", "unused-for") or not given:
            raise UsageError(f"invalid filter '{word}'")
        older = duration(given) / 1e9
    return older


def _agreed(question: str) -> bool:
    print(question, end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
