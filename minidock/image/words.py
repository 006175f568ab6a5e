"""Words of a Dockerfile's instruction: split at spaces, quotes and backslashes taken off, $variables filled in.

The rules are those of Docker's builder (sh(1), cut down): `${NAME:-x}`, `-x`, `:+x`, `+x`, `:?x`, `?x`, `#p`, `##p`,
`%p`, `%%p`, `/p/r` and `//p/r`, where p is a pattern with * and ?.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from minidock.errors import MinidockError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]")
DEPTH = 100
"""Substitutions within substitutions: nobody writes more, and Python's stack has an end."""

Variables = Mapping[str, str] | Sequence[str]
"""By name, or as NAME=VALUE lines of which the first of a name counts."""


def split_words(text: str, *, escape: str = "\\") -> list[str]:
    """Split at spaces outside of quotes; quotes and backslashes stay, for expand() to read."""
    return [word for _, word in located_words(text, escape=escape)]


def located_words(text: str, *, escape: str = "\\") -> list[tuple[int, str]]:
    """The same, each with its offset."""
    words: list[tuple[int, str]] = []
    start, quote, escaped = -1, "", False
    for at, char in enumerate(text):
        if not escaped and not quote and char.isspace():
            if start >= 0:
                words.append((start, text[start:at]))
            start = -1
            continue
        start = at if start < 0 else start
        if escaped:
            escaped = False
        elif char == escape and quote != "'":
            escaped = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
    return [*words, (start, text[start:])] if start >= 0 else words


def expand(
    word: str, variables: Variables, *, escape: str = "\\", missing: set[str] | None = None, quotes: bool = True
) -> str:
    """The word's value. Names that have none are added to `missing`. Without `quotes` they are characters like any
    other: so it is in a heredoc. Errors have Docker's words."""
    known = variables
    if not isinstance(known, Mapping):
        known = dict(entry.partition("=")[::2] for entry in reversed(known))
    return _Expansion(word, known, escape, missing, quotes).text("")


class _Expansion:
    """One pass over a word."""

    def __init__(
        self, word: str, variables: Mapping[str, str], escape: str, missing: set[str] | None, quotes: bool
    ) -> None:
        self.word = word
        self.variables = variables
        self.escape = escape
        self.missing = missing
        self.quotes = {"'": self._single, '"': self._double} if quotes else {}
        self.at = 0
        self.depth = 0

    def text(self, stop: str, *, pattern: bool = False) -> str:
        """Up to the character `stop`, which is taken too, or to the end when it is empty.

        In a `pattern` what is escaped stays so: the star of `\\*` is no wildcard.
        """
        out: list[str] = []
        while self.at < len(self.word):
            char = self.word[self.at]
            self.at += 1
            if char == stop:
                return "".join(out)
            if char in self.quotes:
                out.append(self.quotes[char]())
            elif char == self.escape:
                escaped = self.word[self.at : self.at + 1]
                out.append(f"\\{escaped}" if pattern and escaped else escaped)
                self.at += 1
            else:
                out.append(self._variable() if char == "$" else char)
        if stop:
            raise self._error("syntax error: missing '}'" if stop == "}" else "syntax error: missing '/' in ${}")
        return "".join(out)

    def _single(self) -> str:
        end = self.word.find("'", self.at)
        if end < 0:
            raise self._error("unexpected end of statement while looking for matching single-quote")
        out = self.word[self.at : end]
        self.at = end + 1
        return out

    def _double(self) -> str:
        out: list[str] = []
        while self.at < len(self.word):
            char = self.word[self.at]
            self.at += 1
            if char == '"':
                return "".join(out)
            if char == self.escape and self.word[self.at : self.at + 1] in ('"', "$", self.escape):
                out.append(self.word[self.at])
                self.at += 1
            else:
                out.append(self._variable() if char == "$" else char)
        raise self._error("unexpected end of statement while looking for matching double-quote")

    def _variable(self) -> str:
        """After a dollar sign."""
        braces = self.word[self.at : self.at + 1] == "{"
        self.at += braces
        found = NAME.match(self.word, self.at)
        if not braces:
            if found is None or found[0] in "?$!-":
                return "$"
            self.at = found.end()
            return self._value(found[0]) or ""
        if found is None:
            raise self._error("syntax error: bad substitution" if self.word[self.at :] else "syntax error: missing '}'")
        self.at = found.end()
        self.depth += 1
        if self.depth > DEPTH:
            raise self._error(f"more than {DEPTH} substitutions within each other")
        value = self._modified(found[0])
        self.depth -= 1
        return value

    def _value(self, name: str) -> str | None:
        value = self.variables.get(name)
        if value is None and self.missing is not None:
            self.missing.add(name)
        return value

    def _modified(self, name: str) -> str:
        """From after the name to the closing brace."""
        colon = self.word[self.at : self.at + 1] == ":"
        operator = self.word[self.at + colon : self.at + colon + 1]
        if operator == "" and not colon:
            raise self._error("missing ':' in substitution")
        self.at += colon + 1
        if operator == "}" and not colon:
            return self._value(name) or ""
        if operator in tuple("-+?"):
            return self._chosen(name, operator, empty_is_unset=colon)
        if operator in tuple("#%") and not colon:
            return self._trimmed(self._value(name) or "", operator)
        if operator == "/" and not colon:
            return self._replaced(self._value(name) or "")
        raise self._error(f"unsupported modifier ({':' * colon}{operator}) in substitution")

    def _chosen(self, name: str, operator: str, *, empty_is_unset: bool) -> str:
        value = self.variables.get(name)
        word = self.text("}")
        unset = value is None or (empty_is_unset and not value)
        if operator == "+":
            return "" if unset else word
        if not unset:
            return value or ""
        if operator == "?":
            word = word or f"is not allowed to be {'unset' if value is None else 'empty'}"
            raise self._error(f"{name}: {word}")
        return word

    def _trimmed(self, value: str, operator: str) -> str:
        longest = self.word[self.at : self.at + 1] == operator
        self.at += longest
        pattern = _regex(self.text("}", pattern=True))
        if operator == "#":
            cuts = range(len(value), -1, -1) if longest else range(len(value) + 1)
            return next((value[cut:] for cut in cuts if pattern.fullmatch(value, 0, cut)), value)
        cuts = range(len(value) + 1) if longest else range(len(value), -1, -1)
        return next((value[:cut] for cut in cuts if pattern.fullmatch(value, cut)), value)

    def _replaced(self, value: str) -> str:
        every = self.word[self.at : self.at + 1] == "/"
        self.at += every
        pattern = _regex(self.text("/", pattern=True))
        instead = self.text("}")
        return pattern.sub(lambda _: instead, value, count=0 if every else 1)

    def _error(self, why: str) -> MinidockError:
        quoted = self.word.replace("\\", "\\\\").replace('"', '\\"')
        return MinidockError(f'failed to process "{quoted}": {why}')


def _regex(pattern: str) -> re.Pattern[str]:
    """A shell's pattern: * any text, ? any character, a backslash takes the meaning of what follows."""
    parts, at = [], 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "\\":
            char = pattern[at : at + 1] or char
            at += 1
            parts.append(re.escape(char))
        else:
            parts.append({"*": ".*", "?": "."}.get(char, re.escape(char)))
    return re.compile("".join(parts), re.DOTALL)
