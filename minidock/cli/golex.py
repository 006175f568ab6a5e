"""Text and tokens of a Go template: what goparse.py reads.

White space that `{{-` and `-}}` eat is gone here; a comment is an action without tokens.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import UsageError


class TemplateError(UsageError):
    """A template that can't be read or followed. The message starts as Go's: `template: :1:2: `."""

    def __init__(self, message: str, *, parsing: bool) -> None:
        super().__init__(message)
        self.parsing = parsing


class Token(NamedTuple):
    kind: str
    text: str
    offset: int


_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    | (?P<string>"(?:\\.|[^"\\\n])*") | (?P<raw>`[^`]*`) | (?P<char>'(?:\\.[^'\n]*|[^'\\\n])')
    | (?P<number>[+-]?(?:0[xXbBoO][0-9a-fA-F_]+|(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?))
    | (?P<field>\.[A-Za-z_][A-Za-z0-9_]*) | (?P<dot>\.) | (?P<variable>\$[A-Za-z0-9_]*)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*) | (?P<declare>:=) | (?P<mark>[()|,=])""",
    re.VERBOSE,
)


class Scanner:
    """The source, and where we are in it: text up to an action, then the tokens of that action."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.offset = 0
        self.tokens: list[Token] = []
        self.trim_next = False

    # Positions and errors.

    def place(self, offset: int) -> str:
        line = self.source.count("\n", 0, offset) + 1
        start = self.source.rfind("\n", 0, offset) + 1
        return f"{line}:{len(self.source[start:offset].encode())}"

    def error(self, problem: str, offset: int | None = None) -> TemplateError:
        line = self.source.count("\n", 0, self.offset if offset is None else offset) + 1
        return TemplateError(f"template: :{line}: {problem}", parsing=True)

    def text(self) -> str:
        start = self.offset
        found = self.source.find("{{", start)
        end = len(self.source) if found < 0 else found
        text = self.source[start:end]
        if self.trim_next:
            text = text.lstrip(" \t\r\n")
        self.trim_next = False
        self.offset = end
        if found >= 0 and re.match(r"\{\{-[ \t\r\n]", self.source[end:]):
            text = text.rstrip(" \t\r\n")
        return text

    def action_tokens(self) -> None:
        """Read `{{ … }}` into self.tokens. A comment leaves none."""
        self.offset += 2
        if re.match(r"-[ \t\r\n]", self.source[self.offset :]):
            self.offset += 1
        self.tokens = []
        comment = re.compile(r"\s*/\*.*?\*/(\s+-)?\}\}", re.DOTALL).match(self.source, self.offset)
        if comment:
            self.trim_next = bool(comment[1])
            self.offset = comment.end()
            return
        depth = 0
        while True:
            closing = re.compile(r"([ \t\r\n]+-)?\}\}").match(self.source, self.offset)
            if closing:
                break
            if self.offset >= len(self.source):
                raise self.error("unclosed action")
            token = self.next_token()
            depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "mark" else 0
            if depth < 0:
                raise self.error("unexpected right paren")
            if token.kind != "space":
                self.tokens.append(token)
        if depth:
            raise self.error("unclosed left paren")
        self.trim_next = bool(closing[1])
        self.offset = closing.end()
        if not self.tokens:
            raise self.error("missing value for command")

    def next_token(self) -> Token:
        found = _TOKEN.match(self.source, self.offset)
        if found is None:
            char = self.source[self.offset]
            if char in "\"'`":
                raise self.error(f"unterminated {'raw quoted' if char == '`' else 'quoted'} string")
            if self.tokens and end_of(self.tokens[-1]) == self.offset:
                raise self.error(f"bad character U+{ord(char):04X} '{char}'")
            if char == "}":
                where = "operand" if self.tokens else "command"
                raise self.error(f'unexpected "}}" in {where}')
            raise self.error(f'unexpected "{char}" in {"operand" if self.tokens else "command"}')
        token = Token(str(found.lastgroup), found.group(), self.offset)
        self.offset = found.end()
        return token


def end_of(token: Token) -> int:
    return token.offset + len(token.text)


def number(text: str) -> int | float:
    bare = text.replace("_", "")
    try:
        return int(bare, 0)
    except ValueError:
        return int(bare, 8) if re.fullmatch(r"[+-]?0[0-7]+", bare) else float(bare)


_ESCAPE = re.compile(r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))")
_SIMPLE = dict(zip("abfnrtv\\'\"", "\a\b\f\n\r\t\v\\'\"", strict=True))


def unquote(text: str) -> str:
    """The value of a Go string literal."""
    body = text[1:-1]
    if text[0] == "`":
        return body
    return _ESCAPE.sub(
        lambda m: _SIMPLE[m[1]] if m[1] else chr(int(m[2] or m[3] or m[4] or m[5], 8 if m[5] else 16)), body
    )
