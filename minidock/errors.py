"""Every error that a user can meet, in one tree; the command line turns each into one line and an exit code.

    MinidockError                    1    something failed: what, on what, and what to do about it
    ├── UsageError                 125    a flag or value that can't be right
    ├── NotFound                     1    no such thing here
    │   ├── ImageNotFound
    │   ├── ContainerNotFound
    │   └── NetworkNotFound
    ├── Conflict                     1    the name, the port or the state is taken
    │   ├── NameInUse
    │   ├── ImageInUse
    │   ├── PortInUse
    │   ├── NotRunning
    │   └── Forbidden
    ├── InvalidReference             1    a name that no image can have
    ├── InvalidImage                 1    an archive, manifest, layer or digest that can't be trusted
    ├── RegistryError                1    a registry said no
    │   └── Unreachable              1    or did not answer
    ├── DockerfileError              1    a Dockerfile that can't be understood: the place, and what was expected
    ├── BuildFailed                  1    an instruction of a build that failed: which, and its last words
    ├── SystemCallFailed             1    the kernel said no: the call, its arguments, the errno
    ├── StepFailed                 125    a step of the plan failed: its description and the cause
    ├── CommandNotExecutable       126    the image's command is there, but can't be executed
    ├── CommandNotFound            127    the image has no such command
    ├── Unsupported                  1    this kernel or host can't do what was asked
    └── NoDaemon                     1    nobody answers where -H, DOCKER_HOST or the context say

`run` and `create` exit with 125 for all but the last two commands' codes, as Docker does; that is the command
line's business. Where Docker has a text for an error, the message is that text: scripts search for it.
"""

from __future__ import annotations

import errno
import os


def of_the_system(error: OSError) -> tuple[str, str]:
    """What the system said, in small letters behind the file that it is about; and what to do, or nothing."""
    where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "minidock system df shows what takes the room, minidock system prune gives some back" if full else ""
    return f"{where}{(error.strerror or str(error)).lower()}", hint


class MinidockError(Exception):
    """Something failed. `message` says what and on what; `hint` what to do, empty when there is nothing to add."""

    exit_code = 1
    lead = "Error: "
    """What stands before the message: whose it is (an instance's, when another daemon has said it)."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(MinidockError):
    """A flag or a value on the command line that can't be right."""

    exit_code = 125


class NotFound(MinidockError):
    """There is no such thing here."""


class ImageNotFound(NotFound):
    def __init__(self, name: str, *, hint: str = "minidock images lists what is here") -> None:
        super().__init__(f"No such image: {name}", hint=hint)


class ContainerNotFound(NotFound):
    def __init__(self, name: str, *, hint: str = "", prefix: str = "") -> None:
        super().__init__(f"{prefix}No such container: {name}", hint=hint)


class NetworkNotFound(NotFound):
    def __init__(self, name: str, *, hint: str = "") -> None:
        super().__init__(f"network {name} not found", hint=hint)


class Conflict(MinidockError):
    """What was asked for clashes with what is there."""


class NameInUse(Conflict):
    def __init__(self, name: str, holder: str) -> None:
        super().__init__(
            f'Conflict. The container name "/{name}" is already in use by container "{holder}". '
            "You have to remove (or rename) that container to be able to reuse that name."
        )


class ImageInUse(Conflict):
    """The image can't go: a container or another tag still needs it."""


class PortInUse(Conflict):
    def __init__(self, address: str, holder: str) -> None:
        by = f", held by {holder}" if holder else ""
        super().__init__(
            f"Bind for {address} failed: port is already allocated{by}",
            hint="publish another host port with -p, or stop the holder",
        )


class NotRunning(Conflict):
    def __init__(self, container: str) -> None:
        super().__init__(f"Container {container} is not running")


class Forbidden(Conflict):
    """What nobody may do here: to a network that is always there, or that is in use. Over HTTP it is a 403."""


class InvalidReference(MinidockError):
    """A name, tag or digest that no image can have."""


class InvalidImage(MinidockError):
    """Bytes that claim to be an image, and can't be trusted or understood."""


class RegistryError(MinidockError):
    """A registry's answer isn't what we asked for. `status` is HTTP's, `code` the protocol's; 0 and "" without."""

    def __init__(self, message: str, *, status: int = 0, code: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code


class Unreachable(RegistryError):
    """There is no answer at all: no such host, nobody listens, a certificate that nobody vouches for."""


class DockerfileError(MinidockError):
    """A Dockerfile that can't be understood. `excerpt` shows the lines around the place, and a caret under it."""

    def __init__(self, message: str, *, line: int, column: int = 1, excerpt: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.column = column
        self.excerpt = excerpt


class BuildFailed(MinidockError):
    """An instruction failed. `excerpt` shows its place in the Dockerfile; `output` is a traceback of ours."""

    def __init__(self, message: str, *, excerpt: str = "", output: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.excerpt = excerpt
        self.output = output


class Unsupported(MinidockError):
    """This kernel, host or build can't do it; said instead of doing something else silently."""


class NoDaemon(MinidockError):
    """There is no daemon where we looked, it hung up on us, or it speaks no language that we know."""

    lead = ""


class SystemCallFailed(MinidockError):
    """The kernel refused: `call` with its arguments as in strace, `number` the errno (errno(3))."""

    def __init__(self, call: str, number: int, *, hint: str = "") -> None:
        self.call = call
        self.number = number
        name = errno.errorcode.get(number, str(number))
        super().__init__(f"{call}: {name} ({os.strerror(number)})", hint=hint)


class StepFailed(MinidockError):
    """A step of a plan failed. `step` is its description; everything done before it has been undone."""

    exit_code = 125

    def __init__(self, step: str, cause: str, *, hint: str = "") -> None:
        self.step = step
        self.cause = cause
        super().__init__(f"can't {step}: {cause}", hint=hint)


class CommandNotExecutable(MinidockError):
    """execve(2) said EACCES, ENOEXEC or EISDIR for the container's command."""

    exit_code = 126


class CommandNotFound(MinidockError):
    """execve(2) said ENOENT or ENOTDIR, or no directory of PATH has the container's command."""

    exit_code = 127
