"""How a registry's 401 is answered: Basic, or Docker's tokens (distribution spec/auth/token.md), without any I/O.

    us → registry   GET /v2/…                             ← 401, WWW-Authenticate: Bearer realm=…,service=…
    us → realm      GET ?service=…&scope=… (Basic)        ← 200 {"token": …}      or POST with a refresh token
    us → registry   GET /v2/…, Authorization: Bearer …    ← 200

`Authority.flow` is that conversation as a generator: it yields requests and is sent replies; who drives it owns the
sockets. Each request is answered at most once, so a registry that says 401 for ever ends the conversation.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Generator, Sequence
from urllib.parse import urlencode, urlsplit

import msgspec

from minidock.errors import RegistryError

CLIENT_ID = "docker"
"""What we call ourselves to token servers; some know only this one."""
LIFETIME = 60
"""Seconds that a token lives when its server doesn't say (spec/auth/token.md)."""
MARGIN = 10
"""Seconds before its end from which on a token isn't used any more."""

Clock = Callable[[], float]


class Credentials(msgspec.Struct, frozen=True):
    """Who we are. An identity token is a refresh token; a registry token goes to the registry as it is."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __bool__(self) -> bool:
        return bool(self.username or self.identity_token or self.registry_token)


NOBODY = Credentials()


class Request(msgspec.Struct, frozen=True):
    """What is to be sent; `form` is the body of a request for a token."""

    method: str
    url: str
    headers: dict[str, str] = {}
    form: bytes = b""


class Reply(msgspec.Struct, frozen=True):
    """What came back: names of headers in lower case; `body` reads it, when it matters."""

    status: int
    headers: dict[str, str]
    body: Callable[[], bytes] = bytes


class Challenge(msgspec.Struct, frozen=True):
    """One way in that a 401 offers: `basic` or `bearer`, and its parameters."""

    scheme: str
    parameters: dict[str, str]


Conversation = Generator[Request, Reply, None]


def repository_scope(path: str, actions: str) -> str:
    return f"repository:{path}:{actions}"


_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_PART = re.compile(rf'[\s,]*({_WORD})(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD})))?')


def challenges(header: str) -> list[Challenge]:
    """A WWW-Authenticate header, which may offer several ways: a word without a value begins the next (RFC 9110)."""
    found: list[Challenge] = []
    at = 0
    while part := _PART.match(header, at):
        at = part.end()
        name, quoted, plain = part.groups()
        if quoted is None and plain is None:
            found.append(Challenge(name.lower(), {}))
        elif found:
            found[-1].parameters[name.lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    return found


class Authority:
    """What one registry has asked for and given us: its challenge, and the tokens, by scope."""

    def __init__(self, credentials: Credentials, *, offline: bool = False, now: Clock = time.monotonic) -> None:
        self.credentials = credentials
        self.identity_token = credentials.identity_token
        self._offline = offline
        self._now = now
        self._challenge: Challenge | None = None
        self._secure = False
        self._tokens: dict[tuple[str, ...], tuple[str, float]] = {}

    def flow(self, request: Request, scopes: Sequence[str] = ()) -> Conversation:
        """Requests to send, ours and those for tokens; the reply to the last one is the answer to ours."""
        wanted = tuple(dict.fromkeys(scopes))
        header = yield from self._authorization(wanted)
        reply = yield _with(request, header)
        if not self.learn(request, reply) or self.credentials.registry_token:
            return
        self._tokens.pop(wanted, None)
        if header.startswith("Basic ") and self._challenge is not None and self._challenge.scheme == "basic":
            return  # it has just refused that
        again = yield from self._authorization(wanted)
        yield _with(request, again)

    def learn(self, request: Request, reply: Reply) -> bool:
        """Remember how a 401 wants to be answered; False when this is none, or offers no way that we know."""
        offered = [one for one in challenges(reply.headers.get("www-authenticate", "")) if one.scheme in _KNOWN]
        if reply.status != 401 or not offered:
            return False
        # Of several ways the strongest: a registry that knows tokens and passwords gets no password.
        self._challenge = max(offered, key=lambda one: _KNOWN.index(one.scheme))
        self._secure = request.url.startswith("https:")
        return True

    def _authorization(self, scopes: tuple[str, ...]) -> Generator[Request, Reply, str]:
        """The Authorization header for a request; empty while nothing has been asked of us."""
        if self.credentials.registry_token:
            return f"Bearer {self.credentials.registry_token}"
        if self._challenge is None:
            return ""
        if self._challenge.scheme == "basic":
            if not self.credentials.username:
                raise RegistryError("no basic auth credentials", code="UNAUTHORIZED")
            return _basic(self.credentials)
        token, until = self._tokens.get(scopes, ("", 0.0))
        if not token or self._now() >= until:
            token = yield from self._fetch(self._challenge.parameters, scopes)
        return f"Bearer {token}"

    def _fetch(self, parameters: dict[str, str], scopes: tuple[str, ...]) -> Generator[Request, Reply, str]:
        realm = parameters.get("realm", "")
        if urlsplit(realm).scheme not in ("http", "https"):
            raise RegistryError(f"the registry sends us to {realm[:100]!r} for a token, which is no address")
        if self._secure and not realm.startswith("https:") and self.credentials:
            raise RegistryError(f"the registry asks to send the password over plain http, to {realm[:100]}")
        if not scopes and (asked := parameters.get("scope")):
            scopes = tuple(asked.split())
        request = self._token_request(realm, parameters.get("service", ""), scopes)
        reply = yield request
        if reply.status != 200:
            raise _refused(reply, realm)
        return self._keep(reply.body(), scopes)

    def _token_request(self, realm: str, service: str, scopes: tuple[str, ...]) -> Request:
        if self.identity_token:
            form = {"grant_type": "refresh_token", "service": service, "client_id": CLIENT_ID}
            form |= {"refresh_token": self.identity_token, "scope": " ".join(scopes)}
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return Request("POST", realm, headers, urlencode(form).encode())
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        headers = {}
        if self.credentials.username:
            query.append(("account", self.credentials.username))
            headers["Authorization"] = _basic(self.credentials)
        if self._offline:
            query += [("offline_token", "true"), ("client_id", CLIENT_ID)]
        joint = "&" if urlsplit(realm).query else "?"
        return Request("GET", realm + joint + urlencode(query) if query else realm, headers)

    def _keep(self, body: bytes, scopes: tuple[str, ...]) -> str:
        try:
            answer = msgspec.json.decode(body, type=_Token)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RegistryError(f"the token server's answer can't be understood: {error}") from None
        token = answer.token or answer.access_token
        if not token:
            raise RegistryError("the token server's answer has no token")
        if not (token.isascii() and token.isprintable()):  # it goes into a header, and must not begin another
            raise RegistryError("the token server's answer has a token that no header can hold")
        if answer.refresh_token and self.credentials:
            self.identity_token = answer.refresh_token
        lifetime = max(answer.expires_in or LIFETIME, LIFETIME)
        self._tokens[scopes] = (token, self._now() + lifetime - MARGIN)
        return token


_KNOWN = ("basic", "bearer")


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""
    refresh_token: str = ""
    expires_in: int = 0


def _with(request: Request, authorization: str) -> Request:
    if not authorization:
        return request
    return msgspec.structs.replace(request, headers={**request.headers, "Authorization": authorization})


def _basic(credentials: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()


def _refused(reply: Reply, realm: str) -> RegistryError:
    from .words import told

    fallback = f"the token server {urlsplit(realm).netloc} answered {reply.status}"
    code, message = told(reply.body())
    if reply.status == 401 and not code:
        return RegistryError("unauthorized: incorrect username or password", status=401, code="UNAUTHORIZED")
    return RegistryError(message or fallback, status=reply.status, code=code)
