"""The grammar of Go's text/template, as far as Docker's --format is used: text to a tree.

    text {{ pipeline }} {{if p}} … {{else if p}} … {{else}} … {{end}}   {{range $k, $v := p}} … {{else}} … {{end}}
    {{with p}} … {{end}}   {{define "n"}} … {{end}} {{template "n" p}} {{block "n" p}} … {{end}}
    {{break}} {{continue}} {{/* comment */}}, and {{- -}} which eat the white space beside them
    pipeline:  command | command …   with $x := or $x = before it;  command: operand operand …
    operand:   .A.B  $x.A  "s"  `s`  'c'  1  1.5  true  nil  name  (pipeline).A

Positions count bytes from the start of the line, as Go's do: they appear in errors.
"""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple, Union

from .golex import Scanner, Token, end_of, number, unquote


class Operand(NamedTuple):
    """One operand: `kind` is dot, nil, literal, variable, function or paren; `fields` the .A.B behind it."""

    kind: str
    value: object
    fields: tuple[str, ...]
    at: str
    text: str


class Command(NamedTuple):
    operands: tuple[Operand, ...]
    at: str
    text: str


class Pipeline(NamedTuple):
    """`names` are set to the result; `declares` tells `:=` from `=`."""

    commands: tuple[Command, ...]
    names: tuple[str, ...]
    declares: bool
    text: str


class Text(NamedTuple):
    text: str


class Action(NamedTuple):
    pipeline: Pipeline


class Branch(NamedTuple):
    """if, with and range: `word` says which."""

    word: str
    pipeline: Pipeline
    body: list[Node]
    otherwise: list[Node]


class Call(NamedTuple):
    """{{template}}, and {{block}} after its body was defined."""

    name: str
    pipeline: Pipeline | None
    at: str


class Leave(NamedTuple):
    """break or continue."""

    word: str


Node = Union[Text, Action, Branch, Call, Leave]  # noqa: UP007  a forward reference can't be in a | of classes


class Template(NamedTuple):
    body: list[Node]
    defined: dict[str, list[Node]]


def parse(source: str, functions: Container[str]) -> Template:
    """Read the template. `functions` are the names that may be called. Raises TemplateError."""
    parser = _Parser(source, functions)
    body, ended = parser.list_of(top=True)
    assert ended == ""
    return Template(body, parser.defined)


class _Parser(Scanner):
    def __init__(self, source: str, functions: Container[str]) -> None:
        super().__init__(source)
        self.functions = functions
        self.defined: dict[str, list[Node]] = {}
        self.variables = ["$"]
        self.loops = 0

    # Lists of nodes: text and actions until {{end}} or {{else}}.

    def list_of(self, *, top: bool = False) -> tuple[list[Node], str]:
        """The nodes, and the word that ended them: `end`, `else`, or nothing at the end of the source."""
        nodes: list[Node] = []
        while True:
            text = self.text()
            if text:
                nodes.append(Text(text))
            if self.offset >= len(self.source):
                if not top:
                    raise self.error("unexpected EOF")
                return nodes, ""
            self.action_tokens()
            word = self.tokens[0].text if self.tokens and self.tokens[0].kind == "word" else ""
            if word in ("end", "else"):
                if top:
                    raise self.error(f"unexpected {{{{{word}}}}}")
                return nodes, word
            node = self.node(word)
            if node is not None:
                nodes.append(node)

    # One action.

    def node(self, word: str) -> Node | None:
        if not self.tokens:
            return None
        if word in ("if", "with", "range"):
            return self.branch(word)
        if word in ("break", "continue"):
            if not self.loops:
                raise self.error(f"{{{{{word}}}}} outside {{{{range}}}}")
            return Leave(word)
        if word in ("define", "block", "template"):
            return self.named(word)
        return Action(self.pipeline(self.tokens, "command"))

    def branch(self, word: str) -> Branch:
        known = len(self.variables)
        pipeline = self.pipeline(self.tokens[1:], word)
        self.loops += word == "range"
        body, ended = self.list_of()
        self.loops -= word == "range"
        otherwise: list[Node] = []
        if ended == "else":
            follows = self.tokens[1].text if len(self.tokens) > 1 else ""
            if follows == word and word != "range":  # {{else if …}} is an {{if}} that shares the {{end}}
                self.tokens = self.tokens[1:]
                otherwise = [self.branch(word)]
            elif follows:
                raise self.error(f"unexpected <{follows}> in else")
            else:
                otherwise, ended = self.list_of()
                if ended == "else":
                    raise self.error("expected end; found {{else}}")
        del self.variables[known:]
        return Branch(word, pipeline, body, otherwise)

    def named(self, word: str) -> Node | None:
        if len(self.tokens) < 2 or self.tokens[1].kind not in ("string", "raw"):
            raise self.error(f"unexpected {{{{{word}}}}} clause" if len(self.tokens) > 1 else f"missing name in {word}")
        name, offset = unquote(self.tokens[1].text), self.tokens[1].offset
        pipeline = self.pipeline(self.tokens[2:], word) if self.tokens[2:] else None
        if word != "template":
            outer, self.variables = self.variables, ["$"]
            self.defined[name], ended = self.list_of()
            self.variables = outer
            if ended == "else":
                raise self.error(f"unexpected {{{{else}}}} in {word} clause")
        return None if word == "define" else Call(name, pipeline, self.place(offset))

    # Pipelines.

    def pipeline(self, tokens: list[Token], where: str) -> Pipeline:
        names: list[str] = []
        declares = False
        rest = tokens
        mark = next((i for i, token in enumerate(tokens) if token.text in (":=", "=") and token.kind != "string"), -1)
        if mark > 0:
            declares = tokens[mark].text == ":="
            names = [token.text for token in tokens[:mark] if token.kind == "variable"]
            rest = tokens[mark + 1 :]
            if not names or len(names) > (2 if where == "range" else 1):
                raise self.error(
                    f"too many declarations in {where}" if names else f"unexpected {tokens[mark].text} in {where}"
                )
        if not rest:
            raise self.error(f"missing value for {where}")
        commands = [self.command(part) for part in self.split(rest)]
        if declares:
            self.variables += names
        for name in names:
            if name not in self.variables:
                raise self.error(f'undefined variable "{name}"')
        text = " | ".join(command.text for command in commands)
        return Pipeline(tuple(commands), tuple(names), declares, text)

    def split(self, tokens: list[Token]) -> list[list[Token]]:
        """The commands between the bars that are not in parentheses."""
        parts: list[list[Token]] = [[]]
        depth = 0
        for token in tokens:
            if token.kind == "mark" and token.text == "|" and depth == 0:
                if not parts[-1]:
                    raise self.error('unexpected "|" in command')
                parts.append([])
                continue
            depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "mark" else 0
            parts[-1].append(token)
        return parts if parts[-1] else parts[:-1]

    def command(self, tokens: list[Token]) -> Command:
        operands: list[Operand] = []
        at = 0
        while at < len(tokens):
            operand, at = self.operand(tokens, at)
            operands.append(operand)
        return Command(tuple(operands), operands[0].at, " ".join(operand.text for operand in operands))

    def operand(self, tokens: list[Token], at: int) -> tuple[Operand, int]:
        first = tokens[at]
        kind, text = "literal", first.text
        value: object = None
        fields: list[str] = []
        where = first.offset
        if first.kind == "field":
            kind, fields = "dot", [first.text[1:]]
        elif first.kind == "dot":
            kind = "dot"
        elif first.kind == "variable":
            kind, value = "variable", first.text
            if first.text not in self.variables:
                raise self.error(f'undefined variable "{first.text}"')
        elif first.kind == "word":
            kind, value = self.word(first.text)
        elif first.kind == "number":
            value = number(first.text)
        elif first.kind in ("string", "raw", "char"):
            value = ord(unquote(first.text)) if first.kind == "char" else unquote(first.text)
        elif first.text == "(":
            end = self.closing(tokens, at)
            kind, value = "paren", self.pipeline(tokens[at + 1 : end], "parenthesized pipeline")
            assert isinstance(value, Pipeline)
            text, at = f"({value.text})", end
        else:
            raise self.error(f'unexpected "{first.text}" in operand')
        at += 1
        while at < len(tokens) and tokens[at].kind == "field" and self.touches(tokens, at):
            fields.append(tokens[at].text[1:])
            text += tokens[at].text
            # Go gives a chain of fields the place of its second one.
            where = tokens[at].offset if len(fields) == 2 or kind != "dot" else where
            at += 1
        if at < len(tokens) and tokens[at].kind == "dot" and self.touches(tokens, at):
            raise self.error("unexpected <.> in operand")
        return Operand(kind, value, tuple(fields), self.place(where), text), at

    @staticmethod
    def touches(tokens: list[Token], at: int) -> bool:
        return end_of(tokens[at - 1]) == tokens[at].offset

    def word(self, word: str) -> tuple[str, object]:
        if word in ("true", "false"):
            return "literal", word == "true"
        if word == "nil":
            return "nil", None
        if word not in self.functions:
            raise self.error(f'function "{word}" not defined')
        return "function", word

    def closing(self, tokens: list[Token], at: int) -> int:
        depth = 0
        for index in range(at, len(tokens)):
            depth += {"(": 1, ")": -1}.get(tokens[index].text, 0) if tokens[index].kind == "mark" else 0
            if depth == 0:
                return index
        raise self.error("unclosed left paren")
