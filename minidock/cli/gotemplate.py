"""Go's text/template for --format: the part that Docker's users write, followed over dictionaries, lists and records.

    render(parse("{{.Name}}: {{json .State}}"), {"Name": "/web", "State": {"Running": true}})

The grammar is in golex.py and goparse.py, the functions in gofuncs.py, printing in goprint.py. Errors read as Go's:
`template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import goparse
from .gofuncs import FUNCTIONS, TYPED, truth
from .golex import TemplateError
from .goparse import Action, Branch, Call, Command, Leave, Node, Operand, Pipeline, Template, Text
from .goprint import Nil, Record, go_type, printed

__all__ = ["Record", "Template", "TemplateError", "parse", "render"]

MOST_CALLS = 1000
"""How deep {{template}} may call itself; Go stops at 100 000, Python's stack before that."""


def parse(source: str) -> Template:
    """The template. Raises TemplateError (parsing=True)."""
    return goparse.parse(source, FUNCTIONS)


def render(template: Template, data: object, *, nils: Mapping[str, str] | None = None) -> str:
    """The text for `data`. `nils` says how a null prints by the name of its field, `{"Cmd": "[]"}`: JSON has lost
    what Go's types know. Raises TemplateError (parsing=False)."""
    run = _Run(template, nils or {})
    run.walk(template.body, data, {"$": data})
    return "".join(run.output)


class _Left(Exception):
    """Not an error: how {{break}} and {{continue}} leave the body of a range."""

    def __init__(self, word: str) -> None:
        self.word = word


class _Run:
    """One execution: the text so far."""

    def __init__(self, template: Template, nils: Mapping[str, str]) -> None:
        self.template = template
        self.nils = nils
        self.output: list[str] = []
        self.depth = 0

    def walk(self, nodes: list[Node], dot: object, variables: dict[str, object]) -> None:
        for node in nodes:
            if isinstance(node, Text):
                self.output.append(node.text)
            elif isinstance(node, Action):
                value = self.pipeline(node.pipeline, dot, variables)
                if not node.pipeline.names:
                    self.output.append(printed(value))
            elif isinstance(node, Branch):
                self.branch(node, dot, variables)
            elif isinstance(node, Call):
                self.call_template(node, dot, variables)
            elif isinstance(node, Leave):
                raise _Left(node.word)

    def branch(self, node: Branch, dot: object, variables: dict[str, object]) -> None:
        inner = _Scope(variables)
        value = self.pipeline(node.pipeline, dot, inner)
        if node.word == "range":
            return self.loop(node, value, dot, inner)
        if truth(value):
            return self.walk(node.body, value if node.word == "with" else dot, inner)
        return self.walk(node.otherwise, dot, inner)

    def loop(self, node: Branch, value: object, dot: object, variables: dict[str, object]) -> None:
        names = node.pipeline.names
        ran = False
        for key, item in self.items(node, value):
            ran = True
            inner = _Scope(variables)
            if names:
                inner.update(zip(names, (key, item) if len(names) == 2 else (item,), strict=True))
            try:
                self.walk(node.body, item, inner)
            except _Left as left:
                if left.word == "break":
                    break
        if not ran:
            self.walk(node.otherwise, dot, variables)

    def items(self, node: Branch, value: object) -> Iterator[tuple[object, object]]:
        if isinstance(value, Mapping):
            return iter([(key, value[key]) for key in sorted(value)])
        if isinstance(value, list | tuple):
            return iter(enumerate(value))
        if value is None or isinstance(value, Nil):
            return iter(())
        if isinstance(value, int) and not isinstance(value, bool):
            return iter([(n, n) for n in range(value)])
        command = node.pipeline.commands[-1]
        raise self.error(command.at, command.text, f"range can't iterate over {printed(value)}")

    def call_template(self, node: Call, dot: object, variables: dict[str, object]) -> None:
        body = self.template.defined.get(node.name)
        if body is None:
            raise self.error(node.at, f'{{{{template "{node.name}"}}}}', f'template "{node.name}" not defined')
        if self.depth >= MOST_CALLS // 10:
            raise self.error(node.at, f'{{{{template "{node.name}"}}}}', "exceeded maximum template depth (100)")
        value = self.pipeline(node.pipeline, dot, variables) if node.pipeline else None
        self.depth += 1
        self.walk(body, value, {"$": value})
        self.depth -= 1

    # Values.

    def pipeline(self, pipeline: Pipeline, dot: object, variables: dict[str, object]) -> object:
        value: object = None
        for index, command in enumerate(pipeline.commands):
            value = self.command(command, dot, variables, [value] if index else [])
        for name in pipeline.names:
            if pipeline.declares or not isinstance(variables, _Scope):
                variables[name] = value
            else:
                variables.assign(name, value)
        return value

    def command(self, command: Command, dot: object, variables: dict[str, object], piped: list[object]) -> object:
        first, rest = command.operands[0], command.operands[1:]
        if first.kind == "function" and not first.fields:
            return self.call(str(first.value), command, rest, dot, variables, piped)
        if first.kind == "nil":
            raise self.error(first.at, first.text, "nil is not a command")
        if first.kind in ("dot", "variable") and first.fields:
            return self.field_or_method(first, rest, dot, variables, piped)
        if rest or piped:
            raise self.error(first.at, first.text, f"can't give argument to non-function {first.text}")
        return self.operand(first, dot, variables)

    def call(
        self,
        name: str,
        command: Command,
        operands: tuple[Operand, ...],
        dot: object,
        variables: dict[str, object],
        piped: list[object],
    ) -> object:
        function, least, most = FUNCTIONS[name]
        count = len(operands) + len(piped)
        if not least <= count <= most:
            want = f"at least {least}" if most > least else str(least)
            raise self.error(command.at, command.text, f"wrong number of args for {name}: want {want} got {count}")
        values: list[Any] = []
        for operand in operands:
            values.append(self.operand(operand, dot, variables))
            if name in ("and", "or") and truth(values[-1]) == (name == "or"):
                return values[-1]
            self.check_text(name, len(values) - 1, values[-1], operand)
        values += piped
        try:
            return function(*values)
        except (ValueError, TypeError, AttributeError) as error:
            problem = str(error) if type(error) is ValueError else f"wrong type for value: {go_type(values[0])}"
            raise self.error(command.at, command.text, f"error calling {name}: {problem}") from None

    def check_text(self, name: str, position: int, value: object, operand: Operand) -> None:
        """Functions of Go are typed: a number is no string, though Python might do something with it."""
        wanted = TYPED.get(name, "")[position : position + 1]
        if wanted == "s" and not isinstance(value, str):
            if operand.kind == "literal":
                raise self.error(operand.at, operand.text, f"expected string; found {operand.text}")
            raise self.error(operand.at, operand.text, f"wrong type for value; expected string; got {go_type(value)}")
        if wanted == "l" and not isinstance(value, list | tuple | Nil):
            shown = f"can't handle {operand.text} for arg of type []string"
            raise self.error(operand.at, operand.text, shown)

    def field_or_method(
        self, first: Operand, rest: tuple[Operand, ...], dot: object, variables: dict[str, object], piped: list[object]
    ) -> object:
        """The first operand of a command: a field, or a record's method with the other operands."""
        base = variables[str(first.value)] if first.kind == "variable" else dot
        name = first.fields[-1]
        base = self.fields(first, base, first.fields[:-1])
        if isinstance(base, Record) and name in base.methods:
            return base.methods[name](*(self.operand(operand, dot, variables) for operand in rest), *piped)
        if rest or piped:
            raise self.error(first.at, first.text, f"{name} is not a method but has arguments")
        return self.fields(first, base, (name,))

    def operand(self, operand: Operand, dot: object, variables: dict[str, object]) -> object:
        kind, value = operand.kind, operand.value
        if kind == "variable":
            value = variables[str(value)]
        elif kind == "dot":
            value = dot
        elif kind == "paren":
            assert isinstance(value, Pipeline)
            value = self.pipeline(value, dot, variables)
        elif kind == "function":
            command = Command((operand,), operand.at, operand.text)
            value = self.call(str(value), command, (), dot, variables, [])
        return self.fields(operand, value, operand.fields)

    def fields(self, operand: Operand, value: object, names: tuple[str, ...]) -> object:
        for name in names:
            if isinstance(value, Record):
                if name not in value.fields:
                    problem = f"can't evaluate field {name} in type *formatter.{value.kind}"
                    raise self.error(operand.at, operand.text, problem)
                value = value.fields[name]()
            elif isinstance(value, Mapping):
                if name not in value:
                    raise self.error(operand.at, operand.text, f'map has no entry for key "{name}"')
                value = value[name]
                if value is None and name in self.nils:
                    value = Nil(self.nils[name])
            elif value is None or isinstance(value, Nil):
                raise self.error(operand.at, operand.text, f"nil pointer evaluating interface {{}}.{name}")
            else:
                raise self.error(operand.at, operand.text, f"can't evaluate field {name} in type interface {{}}")
        return value

    def error(self, at: str, text: str, problem: str) -> TemplateError:
        return TemplateError(f'template: :{at}: executing "" at <{text}>: {problem}', parsing=False)


class _Scope(dict[str, object]):
    """Variables of a body: reads fall through to what is outside, `=` sets where the name was declared."""

    def __init__(self, outer: dict[str, object]) -> None:
        super().__init__()
        self.outer = outer

    def __missing__(self, name: str) -> object:
        return self.outer[name]

    def assign(self, name: str, value: object) -> None:
        if name in self or not isinstance(self.outer, _Scope):
            (self if name in self else self.outer)[name] = value
        else:
            self.outer.assign(name, value)
