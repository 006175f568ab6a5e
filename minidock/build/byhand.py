"""Instructions as lines of shell: what each does with the functions of byhand.sh, with which the script begins."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from minidock.errors import MinidockError, Unsupported
from minidock.image.manifest import RunConfig

from . import copying, fetching, transfer
from .commands import Copy, Run
from .grammar import Word
from .ignore import Ignore, has_wildcards
from .mounts import RunMount
from .named import Named, find
from .runs import AGENT, PIPES, SECRETS, Text
from .stages import Scope
from .state import RunRequest, State
from .tree import Tree

if TYPE_CHECKING:
    from .solve import Job

FUNCTIONS = Path(__file__).with_name("byhand.sh")
REFUSED = ("parents", "exclude", "link", "unpack", "keep-git-dir")
"""Flags of COPY and ADD that would need more shell than anybody wants to read."""


def script_head(context: str) -> str:
    return FUNCTIONS.read_text().replace("@CONTEXT@", shlex.quote(context))


def stage_begins(layers: list[Path] | None, earlier: int | None = None) -> str:
    """The layers that a stage stands on: an earlier stage's, or those of an image, top first; or none."""
    if earlier is not None:
        return f"LOWER=$STAGE_{earlier}"
    return f"base {shlex.join(map(str, layers or []))}".rstrip()


def stage_ends(index: int) -> str:
    return f"STAGE_{index}=$LOWER"


def here(path: str, text: str) -> str:
    """A file by a here-document; `path` may hold variables."""
    end = "END-OF-FILE"
    while end in text.splitlines():
        end += "-"
    more = "" if text.endswith("\n") or not text else "# the file ends without an end of line\n"
    body = text if text.endswith("\n") or not text else f"{text}\n"
    cut = f'\ntruncate -s -1 "{path}"' if more else ""
    return f"{more}cat > \"{path}\" <<'{end}'\n{body}{end}{cut}"


def configured(before: RunConfig, after: RunConfig) -> str:
    """What an instruction has changed, as `import --change` says it in the end."""
    changed = changes(after)
    return "\n".join(f"# {line}" for line in changed if line not in changes(before)) or "# nothing to do by hand"


def changes(config: RunConfig) -> list[str]:
    """The configuration as instructions, for `minidock import --change`."""
    rows = [f"ENV {name}={_quoted(text)}" for name, _, text in (line.partition("=") for line in config.env)]
    rows += [f"LABEL {_quoted(name)}={_quoted(text)}" for name, text in sorted(config.labels.items())]
    rows += [f"EXPOSE {port}" for port in sorted(config.exposed_ports)]
    rows += [f"VOLUME {json.dumps([path])}" for path in sorted(config.volumes)]
    for keyword, text in (("USER", config.user), ("WORKDIR", config.working_dir), ("STOPSIGNAL", config.stop_signal)):
        rows += [f"{keyword} {text}"] if text else []
    for keyword, words in (("ENTRYPOINT", config.entrypoint), ("CMD", config.cmd)):
        rows += [f"{keyword} {json.dumps(words)}"] if words else []
    return rows


def word(text: str) -> str:
    return shlex.quote(text)


def _quoted(text: str) -> str:
    escaped = re.sub(r'(["\\$])', r"\\\1", text)
    return f'"{escaped}"'


class Lines:
    """The lines of one instruction, with the stage's variables and configuration before it."""

    def __init__(self, job: Job, scope: Scope, state: State) -> None:
        self.job = job
        self.scope = scope
        self.state = state

    def workdir(self, path: str) -> str:
        user = shlex.quote(self.state.config.user or "0")
        return f'layer\ndirectory "$(inside {shlex.quote(path)})" "$(ids {user})"\nlaid'

    # RUN

    def run(self, command: Run, request: RunRequest) -> str:
        if request.insecure or request.devices:
            raise Unsupported("a script has no words for RUN --security=insecure and --device")
        places, mounts, env = [], [], []
        for number, mount in enumerate(command.mounts):
            place, lines, variables = self._mount(command, mount, number)
            places += place
            mounts += lines
            env += variables
        if request.argv[0].startswith(f"{PIPES}/"):
            path = f"$ROOT{request.argv[0]}"
            mounts += [f'mkdir -p "$ROOT{PIPES}"', here(path, command.at.heredocs[0].data), f'chmod 755 "{path}"']
        net = "--net " if request.network == "none" else ""
        user = f'"$(ids {shlex.quote(request.user or "0")} run)"'
        variables_of = " ".join([*map(shlex.quote, request.env), *env])
        line = f"run {user} {shlex.quote(request.cwd)} {net}-- {variables_of} -- {shlex.join(request.argv)}"
        return "\n".join([*places, "needed", "layer", "devices", *mounts, line, "laid"])

    def _mount(self, command: Run, mount: RunMount, number: int) -> tuple[list[str], list[str], list[str]]:
        """Lines before the layer's mount, lines after it, and variables of the environment."""
        word = Word(f"--mount={mount.flag.value}", mount.flag.at)

        def text(value: str) -> str:
            return self.scope.expand(command, word, value)

        target = text(mount.target)
        if mount.type == "tmpfs":
            make = f'place {shlex.quote(target)}; chmod 1777 "$WORK/places"{shlex.quote(target)}'
            return [make], [f"memory {shlex.quote(target)} {mount.size or ''}".rstrip()], []
        if mount.type == "cache":
            if mount.source_stage:
                raise Unsupported("a script has no words for a cache mount that begins with files")
            name = shlex.quote((text(mount.id) or target).replace("/", "_"))
            mode = f"{0o755 if mount.mode is None else mount.mode:o}"
            path = f'"$WORK/cache"/{name}'
            make = f"[ -d {path} ] || install -d -m {mode} -o {mount.uid} -g {mount.gid} {path}"
            flag = "ro" if mount.readonly else "rw"
            return [make, f"place {shlex.quote(target)}"], [f"bind {path} {shlex.quote(target)} {flag}"], []
        if mount.type == "bind":
            source = posixpath.normpath("/" + (text(mount.source) or "/"))
            tree = self._tree(mount.source_stage)
            flag = "copy" if mount.readonly is False else "ro"
            found = f'"$(ROOT={tree}; inside {shlex.quote(source)})"'
            return [f"place {shlex.quote(target)} {found}"], [f"bind {found} {shlex.quote(target)} {flag}"], []
        return self._secret(mount, text, number) if mount.type == "secret" else self._agent(mount, text, number)

    def _secret(self, mount: RunMount, text: Text, number: int) -> tuple[list[str], list[str], list[str]]:
        name = text(mount.id) or text(mount.source) or posixpath.basename(text(mount.target))
        given = self.job.options.secrets.get(name)
        if given is None:
            if mount.required:
                raise MinidockError(f"secret {name}: not found", hint=f"give it with --secret id={name},src=FILE")
            return [], [], []
        data = f'"${{{given.env}}}"' if given.env else f'"$(cat {shlex.quote(str(Path(given.file).absolute()))})"'
        env = [f"{mount.env or name}={data}"] if mount.env is not None else []
        target = text(mount.target)
        if env and not target:
            return [], [], env
        target = posixpath.join("/", target or f"{SECRETS}/{name}")
        path, mode = f'"$SECRETS/{number}"', f"{0o400 if mount.mode is None else mount.mode:o}"
        write = f"printf %s {data} >" if given.env else f"cat {shlex.quote(str(Path(given.file).absolute()))} >"
        make = [f"{write} {path}", f"chown {mount.uid}:{mount.gid} {path}", f"chmod {mode} {path}"]
        return [*make, f"place {shlex.quote(target)} {path}"], [f"bind {path} {shlex.quote(target)} ro"], env

    def _agent(self, mount: RunMount, text: Text, number: int) -> tuple[list[str], list[str], list[str]]:
        """The agent itself, without a relay: whoever runs the script is root, and may use it."""
        name = text(mount.id) or "default"
        if name not in self.job.options.ssh:
            if mount.required:
                raise MinidockError(f"unset ssh forward key {name}", hint=f"give it with --ssh {name}=SOCKET")
            return [], [], []
        target = text(mount.target) or f"{AGENT}.{number}"
        bind = f'bind "${{SSH_AUTH_SOCK}}" {shlex.quote(target)} rw'
        return [f'place {shlex.quote(target)} "$SSH_AUTH_SOCK"'], [bind], [f"SSH_AUTH_SOCK={shlex.quote(target)}"]

    # COPY and ADD

    def copy(self, command: Copy) -> str:
        at = command.at
        for flag in REFUSED:
            if at.values(flag) or at.is_on(flag):
                raise Unsupported(f"a script has no words for {at.keyword} --{flag}")
        target = self._target(command)
        source = self._flag(command, "from")
        owner, mode = self._flag(command, "chown"), self._flag(command, "chmod")
        looks = f'"$(ids {shlex.quote(owner)} copy)"' if owner else '""' if source else "0:0"
        end = f"{target} {looks} {shlex.quote(mode)}"
        lines = ["layer"]
        for word in command.sources:
            text = self.scope.expand(command, word)
            lines += self._source(command, text, source, end)
        for heredoc in command.files:
            path = f"$WORK/here/{heredoc.name.replace('/', '_')}"
            data = transfer.filled(command, self.scope, heredoc.data) if heredoc.expand else heredoc.data
            lines += [here(path, data), f'copy "$WORK/here" {shlex.quote(Path(path).name)} {end}']
        return "\n".join([*lines, "laid"])

    def _source(self, command: Copy, text: str, source: str, end: str) -> list[str]:
        if command.at.keyword == "ADD":
            remote = fetching.repository(text)
            if remote is not None:
                words = [remote.address, remote.ref or "HEAD", remote.directory or "."]
                return [
                    f"clone {shlex.join(words)}",
                    f'copy "$WORK/fetched" {shlex.quote(remote.directory or "/")} {end}',
                ]
            if fetching.is_address(text):
                name = posixpath.basename(text.partition("?")[0])
                fetch = f"fetch {shlex.join([text, name, self._flag(command, 'checksum')])}"
                return [fetch, f'copy "$WORK/fetched" {shlex.quote(name)} {end}']
        tree = self._tree(source)
        if not source:
            pieces = copying.find(self.job.context.tree, text, self.job.context.ignore, Ignore())
            return [self._piece(command, tree, piece, end) for piece in pieces]
        if not has_wildcards(text):
            return [f"copy {tree} {shlex.quote(text)} {end}"]
        glob = re.sub(r"[^*?\[\]]+", lambda found: shlex.quote(found[0]), text.lstrip("/"))
        return [f"for each in {tree}/{glob}; do", f'    copy {tree} "${{each#{tree}}}" {end}', "done"]

    def _piece(self, command: Copy, tree: str, piece: copying.Piece, end: str) -> str:
        path = shlex.quote("/".join(piece.parts) or "/")
        if command.at.keyword == "ADD" and not piece.is_directory and transfer.is_archive(piece):
            return f"unpack {tree}/{path} {end.split(' ')[0]}"
        return f"copy {tree} {path} {end}"

    def _target(self, command: Copy) -> str:
        text = self.scope.expand(command, command.target)
        path = posixpath.normpath(posixpath.join("/", self.state.config.working_dir, text))
        several = len(command.sources) + len(command.files) > 1
        slash = "/" if path != "/" and (several or text.endswith(("/", "/.")) or text in (".", "..")) else ""
        return shlex.quote("/" + path.lstrip("/") + slash)

    def _flag(self, command: Copy, name: str) -> str:
        flags = command.at.values(name)
        return self.scope.expand(command, Word(flags[0].value, flags[0].at)) if flags else ""

    def _tree(self, name: str) -> str:
        """A directory of the script's with the context, or with a stage's or an image's files."""
        from .solve import lower_dirs

        if not name:
            return '"$CONTEXT"'
        given = find(self.job.plan.contexts, name)
        if isinstance(given, Named):
            raise Unsupported("a script has no words for --build-context")
        index = self.job.plan.stage_called(name) if given is None else None
        if index is not None:
            return f'"$(tree "$STAGE_{index}")"'
        layers = lower_dirs(self.job.store, self.job.image(given or name, ""))
        return f'"$(tree "$(linked {shlex.join(map(str, layers))})")"'


def context_files(tree: Tree, ignore: Ignore) -> str:
    """The lines that make CONTEXT when .dockerignore leaves something out: a copy of the rest."""
    if not ignore.rules:
        return ""
    piece = copying.Piece(tree, (), True, ignore=ignore)
    names = ["/".join(entry.below) for entry in copying.entries(piece) if entry.below]
    listed = "".join(name.replace("\\", "\\\\").replace("\n", "\\n") + "\n" for name in names)
    return f"{here('$WORK/context.names', listed)}\nwithout_what_is_ignored"
