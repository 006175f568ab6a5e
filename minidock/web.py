"""GET, for files that are named by an address: urllib, but for redirects, which lead to the web only, as in Docker.

Imported where it is needed: urllib.request takes 10 ms to load.
"""

from __future__ import annotations

from email.message import Message
from typing import IO, BinaryIO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

WEB = ("", "http", "https")


def opened(address: str, timeout: float | None = None) -> BinaryIO:
    """The body of the answer, as it comes. Raises HTTPError, OSError, ValueError or HTTPException, as urlopen does."""
    return build_opener(_OnlyTheWeb).open(address, timeout=timeout)  # type: ignore[no-any-return]


class _OnlyTheWeb(HTTPRedirectHandler):
    """urllib itself follows to ftp:, too."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        if urlsplit(newurl).scheme not in WEB:
            raise HTTPError(req.full_url, code, msg, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def unfollowed(error: HTTPError) -> str:
    """Why a redirect is the last answer, in Go's words; empty when it is no redirect."""
    if not 300 <= error.code < 400:
        return ""
    scheme = urlsplit(error.headers.get("Location", "")).scheme
    return "stopped after 10 redirects" if scheme in WEB else f'unsupported protocol scheme "{scheme}"'
