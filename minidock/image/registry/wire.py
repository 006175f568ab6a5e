"""One request and its answer: the only place that knows urllib3.

send ── as often as it makes sense (busy servers, cut connections; not refusals)
  └─ converse ── auth.py's conversation, request by request
       └─ follow ── redirects: credentials never go along to another host
            └─ exchange ── a connection of the pool, through the proxy where the environment names one
"""

from __future__ import annotations

import contextlib
import email.utils
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec
import urllib3

from minidock import __version__
from minidock.errors import InvalidImage, RegistryError, Unreachable

from . import names, words
from .auth import NOBODY, Authority, Credentials, Reply, Request
from .failures import Cut, failure
from .names import Server
from .tls import context, proxy_for

ATTEMPTS = 5
BUSY = (429, 500, 502, 503, 504)
LONGEST_WAIT = 60
"""Seconds that we wait at most because a registry asks for it; who is sent away for longer is told so."""
REDIRECTS = 5
PATIENCE = 60
"""Seconds without a byte after which a connection is given up."""
SMALL = 1 << 20
"""Bytes of the largest answer that is no manifest and no blob."""

# Who may go unverified was asked for by name, or is this machine: no line on stderr for each request.
urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

Body = bytes | Callable[[], Iterable[bytes]] | None
"""What is sent along; a stream can be asked for again when the request has to be repeated."""


class Answer:
    """A reply whose body is still on its way. Close it, or read it to its end."""

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self.url = url
        self.response = response

    def read(self, n: int) -> bytes:
        """At most n bytes; b"" at the end only. Raises Cut when the connection ends before the body does."""
        try:
            return self.response.read(n, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise failure(error, "GET", self.url) from error

    def body(self, limit: int = SMALL) -> bytes:
        """The whole. Raises InvalidImage when it is longer than the limit."""
        parts, left = [], limit
        while data := self.read(min(left + 1, 256 << 10)):
            parts.append(data)
            left -= len(data)
            if left < 0:
                self.close()
                raise InvalidImage(f"{self.url}: the answer is larger than {limit} bytes")
        self.response.release_conn()
        return b"".join(parts)

    def close(self) -> None:
        self.response.close()

    def shut(self) -> None:
        """Let another thread's read fail at once."""
        with contextlib.suppress(ValueError, OSError, RuntimeError):  # it has been read to its end already
            self.response.shutdown()

    def reply(self) -> Reply:
        return Reply(self.status, self.headers, self.body)


class Wire:
    """The connections to one server, and what it has told us of who may come in. Threads may share it."""

    def __init__(
        self,
        server: Server,
        credentials: Credentials,
        *,
        headers: Mapping[str, str] | None = None,
        offline: bool = False,
        insecure: Sequence[str] = (),
        patience: float = PATIENCE,
        pause: float = 0.5,
    ) -> None:
        self.server = server
        self.authority = Authority(credentials, offline=offline)
        self.stopped = threading.Event()
        self._headers = {**(headers or {}), "User-Agent": f"minidock/{__version__}"}
        self._insecure = list(insecure)
        self._timeout = urllib3.Timeout(connect=min(30, patience), read=patience)
        self.pause = pause
        """Seconds between the first try and the second."""
        self._pools: dict[tuple[str, bool], urllib3.PoolManager] = {}
        self._live: weakref.WeakSet[Answer] = weakref.WeakSet()
        self._scheme = ""

    # Finding out how the server wants to be spoken to

    def connect(self) -> str:
        """The server's address, after it has answered once. Raises Unreachable."""
        last: RegistryError | None = None
        for scheme in self.server.schemes if not self._scheme else ():
            request = Request("GET", f"{scheme}://{self.server.host}{self.server.base}/v2/")
            try:
                answer = self._patiently(lambda request=request: self._follow(request, None), "GET", request.url, cut=1)  # type: ignore[misc]
            except RegistryError as error:
                last = error
                continue
            self.authority.learn(request, answer.reply())
            answer.close()
            self._scheme = scheme
            break
        if not self._scheme:
            assert last is not None
            raise last
        return f"{self._scheme}://{self.server.host}{self.server.base}"

    # Sending

    def send(
        self,
        method: str,
        where: str,
        *,
        scopes: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        good: Sequence[int] = (200,),
        once: bool = False,
    ) -> Answer:
        """The answer, whose status is one of `good`. `where` is a path below the server, or a whole address.

        Raises RegistryError with the registry's words for everything else. `once`: a body that can't be sent twice.
        """
        base = self.connect()
        url = where if "://" in where else base + where
        at_home = urlsplit(url)[:2] == urlsplit(base)[:2]
        # Elsewhere (a store for uploads) nobody needs to know who we are.
        authority, own = (self.authority, self._headers) if at_home else (Authority(NOBODY), {})
        request = Request(method, url, {**own, **(headers or {})})
        answer = self._patiently(
            lambda: self._converse(authority, request, scopes, body), method, url, cut=1 if once else ATTEMPTS
        )
        if answer.status in good:
            return answer
        insufficient = 'error="insufficient_scope"' in answer.headers.get("www-authenticate", "")
        raw = b"" if method == "HEAD" else answer.body()
        answer.close()
        refused = words.refusal(answer.status, raw, f'{method.title()} "{url}"', insufficient=insufficient)
        if answer.status == 429 and (asked := retry_after(answer.headers.get("retry-after", ""), time.time())):
            refused.hint = f"it asks us to come back in {asked:.0f} seconds"
        raise refused

    def _patiently(self, act: Callable[[], Answer], method: str, url: str, *, cut: int) -> Answer:
        """Again after a pause while the server is busy, or, `cut` times, when the connection was cut."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = act()
            except Cut:
                if attempt >= min(cut, ATTEMPTS):
                    raise
                wait = self._back_off(attempt)
            else:
                asked = retry_after(answer.headers.get("retry-after", ""), time.time())
                if answer.status not in BUSY or attempt == ATTEMPTS or (asked or 0) > LONGEST_WAIT:
                    return answer
                answer.close()
                wait = self._back_off(attempt) if asked is None else asked
            if self.stopped.wait(wait):
                raise Cut(f'{method.title()} "{url}": interrupted')
        raise AssertionError("unreachable")

    def _back_off(self, attempt: int) -> float:
        """Twice as long each time, and never all at once."""
        return float(self.pause * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))  # noqa: S311

    def _converse(self, authority: Authority, request: Request, scopes: Sequence[str], body: Body) -> Answer:
        conversation = authority.flow(request, scopes)
        try:
            ask = next(conversation)
            while True:
                # Only our own request has our body; one for a token has its own.
                answer = self._follow(ask, body if ask.url == request.url and not ask.form else ask.form or None)
                ask = conversation.send(answer.reply())
                answer.close()
        except StopIteration:
            return answer
        except RegistryError as error:
            if isinstance(error, Cut | Unreachable) or "://" in error.message:
                raise
            raise type(error)(
                f'{request.method.title()} "{request.url}": {error.message}',
                status=error.status, code=error.code, hint=error.hint or "minidock login says who you are",
            ) from error  # fmt: skip

    def _follow(self, request: Request, body: Body) -> Answer:
        """Where a GET is sent on to, it goes without what is meant for the registry alone."""
        for _ in range(REDIRECTS + 1):
            answer = self._exchange(request, body)
            location = answer.headers.get("location", "")
            if answer.status not in (301, 302, 303, 307, 308) or request.method not in ("GET", "HEAD") or not location:
                return answer
            answer.close()
            try:
                request = self._redirected(request, urljoin(request.url, location))
            except ValueError as error:  # a port or an IPv6 address that can't be
                raise failure(urllib3.exceptions.LocationParseError(location), request.method, request.url) from error
        raise RegistryError(f'Get "{request.url}": stopped after {REDIRECTS} redirects')

    def _redirected(self, request: Request, url: str) -> Request:
        old, new = urlsplit(request.url), urlsplit(url)
        plain = new.scheme == "http" and (old.scheme == "http" or names.is_insecure(new.netloc, self._insecure))
        if new.scheme != "https" and not plain:
            raise RegistryError(f'Get "{request.url}": refusing to be redirected from {old.scheme} to {url[:200]}')
        headers = request.headers
        if (old.scheme, old.netloc) != (new.scheme, new.netloc):
            headers = {key: headers[key] for key in ("Accept", "Range", "User-Agent") if key in headers}
        return msgspec.structs.replace(request, url=url, headers=headers)

    def _exchange(self, request: Request, body: Body) -> Answer:
        if self.stopped.is_set():
            raise Cut(f'{request.method.title()} "{request.url}": interrupted')
        headers = {"User-Agent": self._headers["User-Agent"], **request.headers}
        try:
            response = self._pool(request.url).request(
                request.method,
                request.url,
                headers=headers,
                body=body() if callable(body) else body,
                timeout=self._timeout,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise failure(error, request.method, request.url, proxy_for(request.url)) from error
        answer = Answer(response, request.url)
        self._live.add(answer)
        return answer

    def _pool(self, url: str) -> urllib3.PoolManager:
        """Our server's own rules about certificates hold for it alone: whoever it sends us to is held to the usual."""
        own = urlsplit(url).netloc == self.server.host
        proxy = proxy_for(url)
        if (pool := self._pools.get((proxy, own))) is None:
            lax = not own and names.is_insecure(urlsplit(url).netloc, self._insecure)
            options: dict[str, Any] = {"maxsize": 8}
            if url.startswith("https:"):
                options["ssl_context"] = context(self.server if own else None, verified=not lax)
            if proxy:
                user = urllib3.util.parse_url(proxy).auth
                named = urllib3.make_headers(proxy_basic_auth=user) if user else None
                pool = urllib3.ProxyManager(proxy, proxy_headers=named, **options)
            else:
                pool = urllib3.PoolManager(**options)
            self._pools[proxy, own] = pool
        return pool

    # The end

    def stop(self) -> None:
        """Let other threads' reads fail at once."""
        self.stopped.set()
        for answer in list(self._live):
            answer.shut()

    def close(self) -> None:
        for pool in self._pools.values():
            pool.clear()


def retry_after(header: str, now: float) -> float | None:
    """Seconds that a Retry-After header asks for, which may also be a date (RFC 9110, 10.2.3)."""
    if header.strip().isdigit() and header.isascii():  # "²" is a digit, too, and no number
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
