"""Words of a Dockerfile's instruction: split at spaces, quotes and backslashes taken off, $variables filled in."""

from __future__ import annotations

import re

from minidock.errors import MinidockError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#]")


def split_words(text: str) -> list[str]:
    """Split at spaces outside of quotes; quotes and backslashes stay, for expand() to read."""
    words, word, quote, escaped = [], "", "", False
    for char in text:
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char.isspace():
            if word:
                words.append(word)
            word = ""
            continue
        word += char
    return [*words, word] if word else words


def expand(word: str, env: list[str]) -> str:
    """The word's value: $NAME, ${NAME}, ${NAME:-default}, ${NAME:+instead}. Errors have Docker's words."""
    return _Expansion(word, dict(entry.partition("=")[::2] for entry in reversed(env))).text("")


class _Expansion:
    """One pass over a word."""

    def __init__(self, word: str, variables: dict[str, str]) -> None:
        self.word = word
        self.variables = variables
        self.at = 0

    def text(self, stop: str) -> str:
        """Up to the character `stop`, which is taken too, or to the end when it is empty."""
        out = ""
        while self.at < len(self.word):
            char = self.word[self.at]
            self.at += 1
            if char == stop:
                return out
            if char == "'":
                out += self._single()
            elif char == '"':
                out += self._double()
            elif char == "\\":
                out += self.word[self.at : self.at + 1]
                self.at += 1
            else:
                out += self._variable() if char == "$" else char
        if stop:
            raise self._error("syntax error: missing '}'" if stop == "}" else "unexpected end of statement")
        return out

    def _single(self) -> str:
        end = self.word.find("'", self.at)
        if end < 0:
            raise self._error("unexpected end of statement while looking for matching single-quote")
        out = self.word[self.at : end]
        self.at = end + 1
        return out

    def _double(self) -> str:
        out = ""
        while self.at < len(self.word):
            char = self.word[self.at]
            self.at += 1
            if char == '"':
                return out
            if char == "\\" and self.word[self.at : self.at + 1] in ('"', "$", "\\"):
                out += self.word[self.at]
                self.at += 1
            else:
                out += self._variable() if char == "$" else char
        raise self._error("unexpected end of statement while looking for matching double-quote")

    def _variable(self) -> str:
        """After a dollar sign."""
        if self.word[self.at : self.at + 1] != "{":
            found = NAME.match(self.word, self.at)
            if found is None:
                return "$"
            self.at = found.end()
            return self.variables.get(found[0], "")
        self.at += 1
        found = NAME.match(self.word, self.at)
        if found is None:
            raise self._error("syntax error: bad substitution")
        self.at = found.end()
        value = self.variables.get(found[0], "")
        operator = self.word[self.at : self.at + 2]
        if operator[:1] == "}":
            self.at += 1
            return value
        if operator[:1] != ":":
            raise self._error("missing ':' in substitution")
        self.at += 2
        other = self.text("}")
        if operator == ":-":
            return value or other
        if operator == ":+":
            return other if value else ""
        raise self._error(f"unsupported modifier ({operator[1:]}) in substitution")

    def _error(self, why: str) -> MinidockError:
        quoted = self.word.replace("\\", "\\\\").replace('"', '\\"')
        return MinidockError(f'failed to process "{quoted}": {why}')
