"""login and logout: who we are at registries, kept where Docker keeps it."""

from __future__ import annotations

import sys

from ..errors import MinidockError
from . import context
from .commands import Complaint, verb
from .flags import boolean, text

HUB = "https://index.docker.io/v1/"
INSECURE = "WARNING! Using --password via the CLI is insecure. Use --password-stdin."
BARE = """
WARNING! Your credentials are stored unencrypted in '{}'.
Configure a credential helper to remove this warning. See
https://docs.docker.com/go/credential-store/
"""
OTHER = """
 Info -> To login with a different account, run 'docker logout' followed by 'docker login'

"""


@verb(
    "login",
    "Authenticate to a registry",
    "[OPTIONS] [SERVER]",
    flags=[
        text("password", "p", "Password or Personal Access Token (PAT)", default=None),
        boolean("password-stdin", "", "Take the Password or Personal Access Token (PAT) from stdin"),
        text("username", "u", "Username", default=None),
    ],
    least=0,
    most=1,
    examples="""
        minidock login registry.example.org:5000
        pass show registry | minidock login -u bob --password-stdin registry.example.org:5000
    """,
)
def login(arguments: list[str], password: str | None, password_stdin: bool, username: str | None) -> None:
    server = arguments[0] if arguments else HUB
    if password is not None:
        if password_stdin:
            raise Complaint("conflicting options: cannot specify both --password and --password-stdin", 1)
        context.say(INSECURE)
    if password_stdin:
        if not username:
            raise Complaint("the --password-stdin option requires --username to be set", 1)
        password = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    engine = context.engine()
    if username is None and password is None and (known := engine.known_user(server)):
        context.say(f"Authenticating with existing credentials... [Username: {known}]")
        context.say(OTHER.replace("docker", "minidock"))
        try:
            engine.login(server)
        except MinidockError as error:
            context.say(f"Login did not succeed, error: {error.message}")
        else:
            print("Login Succeeded", flush=True)
            return
    bare = engine.login(server, *_asked(username or "", password or "", server))
    if bare:
        context.say(BARE.format(bare))
    print("Login Succeeded", flush=True)


def _asked(username: str, password: str, server: str) -> tuple[str, str]:
    """What is missing is asked for, on a terminal."""
    if username and password:
        return username, password
    if not sys.stdin.isatty():
        raise MinidockError("Cannot perform an interactive login from a non TTY device")
    import getpass

    if not username:
        username = _line("Username: ")
        if not username:
            raise MinidockError("username is required")
    if not password:
        password = getpass.getpass("Password: ")
        if not password:
            raise MinidockError("password is required")
    return username, password


def _line(prompt: str) -> str:
    print(prompt, end="", flush=True)
    return sys.stdin.readline().strip()


@verb(
    "logout",
    "Log out from a registry",
    "[SERVER]",
    least=0,
    most=1,
    examples="minidock logout registry.example.org:5000",
)
def logout(arguments: list[str]) -> None:
    server = arguments[0] if arguments else HUB
    print(f"Removing login credentials for {server.removeprefix('https://').partition('/')[0] if arguments else HUB}")
    context.engine().logout(server)
