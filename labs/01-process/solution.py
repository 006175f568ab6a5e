"""Lab 1: run a command as a child process, and pass its exit code on.

python lab01_process.py COMMAND [ARGUMENT...]
"""

import os
import sys
from typing import NoReturn


def exit_code(status: int) -> int:
    """What a shell calls the end of a process: its exit code, or 128 + n when signal n has killed it."""
    # lab: begin  turn the status of wait(2) into an exit code; two macros of wait(2) read it
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status)
    return os.WEXITSTATUS(status)
    # lab: end


def become(command: list[str]) -> NoReturn:
    """Turn this process into the command; when that fails exit with 127 (not found) or 126 (not executable)."""
    # lab: begin  execute the command, found in PATH; whatever happens, never return
    try:
        os.execvp(command[0], command)
    except FileNotFoundError:
        print(f"{command[0]}: not found", file=sys.stderr)
        os._exit(127)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        os._exit(126)
    # lab: end


def run(command: list[str]) -> int:
    """Run the command as a child of ours, wait for its end, and return its exit code."""
    # lab: begin  fork; the child becomes the command, the parent waits for it
    pid = os.fork()
    if pid == 0:
        become(command)
    return exit_code(os.waitpid(pid, 0)[1])
    # lab: end


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
