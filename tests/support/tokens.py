"""A token server for docker-registry: who has the right password gets what he asks for, in a signed JSON Web Token.

GET /token?service=…&scope=repository:NAME:ACTIONS  (Basic)         → {"token": …}
POST /token  grant_type=refresh_token                               → {"access_token": …}
"""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.support.needs import require_tool

SERVICE, ISSUER = "tests", "token server of the tests"
REFRESH = "a-refresh-token"


class TokenServer:
    """`auth` is what docker-registry's configuration says of it; `asked` what has been asked for, `life` in seconds."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.key, self.certificate = directory / "token.key", directory / "token.crt"
        self.openssl = require_tool("openssl")
        subprocess.run(
            [self.openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out",
             self.certificate, "-subj", "/CN=tokens", "-days", "2"],
            check=True, capture_output=True,
        )  # fmt: skip
        self.life = 300
        self.users = {"bob": "secret"}
        self.public: set[str] = set()
        """Repositories that anybody may pull."""
        self.asked: list[tuple[str, dict[str, list[str]], str]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.tokens = self  # type: ignore[attr-defined]
        self.realm = f"http://127.0.0.1:{self.server.server_address[1]}/token"

    @property
    def auth(self) -> dict[str, object]:
        bundle = str(self.certificate)
        return {"token": {"realm": self.realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle}}

    def token(self, subject: str, scopes: list[str]) -> str:
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":", 2)
            wanted = actions.split(",")
            granted = wanted if subject else [one for one in wanted if one == "pull" and name in self.public]
            access.append({"type": kind, "name": name, "actions": granted})
        now = int(time.time())
        der = subprocess.run(
            [self.openssl, "x509", "-in", self.certificate, "-outform", "DER"], check=True, capture_output=True
        ).stdout
        head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        claims = {"iss": ISSUER, "sub": subject, "aud": SERVICE, "exp": now + self.life, "nbf": now - 60, "iat": now}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (head, {**claims, "access": access}))
        signature = subprocess.run(
            [self.openssl, "dgst", "-sha256", "-sign", self.key], input=signed.encode(), check=True, capture_output=True
        ).stdout
        return f"{signed}.{_encoded(signature)}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to stderr."""

    def do_GET(self) -> None:
        tokens: TokenServer = self.server.tokens  # type: ignore[attr-defined]
        query = parse_qs(urlsplit(self.path).query)
        authorization = self.headers.get("Authorization", "")
        tokens.asked.append(("GET", query, authorization))
        user = ""
        if authorization.startswith("Basic "):
            user, _, password = base64.b64decode(authorization[6:]).decode().partition(":")
            if tokens.users.get(user) != password:
                return self._reply(401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong user or password"}]})
        answer: dict[str, object] = {"token": tokens.token(user, query.get("scope", [])), "expires_in": tokens.life}
        if "offline_token" in query:
            answer["refresh_token"] = REFRESH
        return self._reply(200, answer)

    def do_POST(self) -> None:
        tokens: TokenServer = self.server.tokens  # type: ignore[attr-defined]
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        tokens.asked.append(("POST", form, self.headers.get("Authorization", "")))
        if form.get("refresh_token") != [REFRESH]:
            return self._reply(401, {"errors": [{"code": "UNAUTHORIZED", "message": "no such token"}]})
        scopes = " ".join(form.get("scope", [])).split()
        return self._reply(200, {"access_token": tokens.token("bob", scopes), "expires_in": tokens.life})

    def _reply(self, status: int, answer: dict[str, object]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def token_server(directory: Path) -> Iterator[TokenServer]:
    tokens = TokenServer(directory)
    thread = threading.Thread(target=tokens.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield tokens
    finally:
        tokens.server.shutdown()
        thread.join()
        tokens.server.server_close()
