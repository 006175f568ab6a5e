"""Go templates: what --format prints, and how it complains. Expected texts are Docker 28.2.2's for the same data."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.cli.goprint import printed
from minidock.cli.gotemplate import Record, TemplateError, parse, render

DATA: dict[str, Any] = {
    "Name": "/w2",
    "Args": [],
    "Config": {"Image": "bb:1", "Cmd": ["sh", "-c"], "Entrypoint": None, "Labels": {"a": "b"}, "Tty": False,
               "ExposedPorts": {"80/tcp": {}}},
    "State": {"Status": "exited", "Running": False, "ExitCode": 0, "Error": ""},
    "HostConfig": {"Memory": 0, "PidsLimit": None, "ShmSize": 67108864, "CpusetCpus": ""},
    "Mounts": [],
    "Networks": {"bridge": {"IPAddress": "172.17.0.2"}, "a": {"IPAddress": "10.0.0.1"}},
}  # fmt: skip
NILS = {"Entrypoint": "[]", "PidsLimit": "<nil>"}


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("plain }} text", "plain }} text"),
        ("{{.Name}}}}", "/w2}}"),
        ("{{range .Mounts}}x{{else}}none{{end}}", "none"),
        ("{{json .State}}", '{"Status":"exited","Running":false,"ExitCode":0,"Error":""}'),
        ('{{index .Config.Labels "a"}}|{{index .Config.Labels "nope"}}', "b|"),
        ("{{len .Args}} {{.Args}} {{.Config.Labels}} {{.Config.ExposedPorts}}", "0 [] map[a:b] map[80/tcp:{}]"),
        (
            "{{.HostConfig.Memory}} {{.State.Running}} {{.Config.Entrypoint}} {{.HostConfig.PidsLimit}}",
            "0 false [] <nil>",
        ),
        ('{{printf "%-10s|%d|%v|%q|%5.2f|%x|%t" .Name 3 .Args "a" 1.5 255 true}}', '/w2       |3|[]|"a"| 1.50|ff|true'),
        ("{{$x := .Name}}{{$x}}", "/w2"),
        ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}}{{end}}", "a=b"),
        ("{{range $i, $a := .Config.Cmd}}{{if $i}},{{end}}{{$a}}{{end}}", "sh,-c"),
        ("{{range .Networks}}{{.IPAddress}} {{end}}", "10.0.0.1 172.17.0.2 "),
        ("{{range .Config.Cmd}}{{.}}{{break}}{{end}}", "sh"),
        ('{{range .Config.Cmd}}{{if eq . "sh"}}{{continue}}{{end}}{{.}}{{end}}', "-c"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{with .Config}}{{.Image}}{{end}}{{with .State.Error}}x{{else}}y{{end}}", "bb:1y"),
        ("{{with $x := .Name}}{{$x}}{{end}}", "/w2"),
        ('{{if and .State.Running (eq .Name "/w1")}}yes{{else}}no{{end}}', "no"),
        ("{{if eq 1 2}}a{{else if true}}b{{else}}c{{end}}{{if eq 1 2}}a{{else if false}}b{{else}}c{{end}}", "bc"),
        ("{{$x := 1}}{{range .Config.Cmd}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"),
        ('{{.Name | upper | printf "%s!"}}', "/W2!"),
        ("a  {{- .Name -}}  x", "a/w2x"),
        ("a{{/* c */}}b{{- /* x */ -}} c", "abc"),
        ('{{join .Config.Cmd ","}} {{split "a,b" ","}} {{title "abc"}} {{lower "ABC"}}', "sh,-c [a b] Abc abc"),
        ('[{{pad "x" 2 3}}] {{truncate "abcdef" 3}} {{slice .Name 1 2}}', "[  x   ] abc w"),
        ('{{println "a" 1}}{{print "a" "b" 1 2}}', "a 1\nab1 2"),
        ('{{html "<"}} {{urlquery "a b"}}', "&lt; a+b"),
        (
            '{{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 1 2}} {{eq 1 2 1}} {{ne "a" "b"}} {{not true}}',
            "true true false false true true false",
        ),
        (r'{{"a\tb"}} {{`x\n`}} {{1.5}} {{true}} {{0x10}} {{1e3}} {{' + "'a'}}", "a\tb x\\n 1.5 true 16 1000 97"),
        ('{{define "x"}}a{{.}}{{end}}{{template "x" .Name}}{{block "y" .Name}}b{{.}}{{end}}', "a/w2b/w2"),
        ('{{json .Config.Labels}} {{json "<a>"}} {{json .Config.Entrypoint}}', '{"a":"b"} "<a>" null'),
        ('{{(index .Config.Cmd 0)}} {{len .Name}} {{len "\u00e9"}}', "sh 3 2"),
        ('{{or 0 "x"}} {{and 1 0}}', "x 0"),
        ('{{printf "%05d|%+d|%6s|%.2s|%x" 42 7 "ab" "abcdef" "hi"}}', "00042|+7|    ab|ab|6869"),
        (
            '{{printf "%s %s" .Name}} {{printf "%d" "a"}} {{printf "x" 1}}',
            "/w2 %!s(MISSING) %!d(string=a) x%!(EXTRA int=1)",
        ),
        ("{{.Name |}}", "/w2"),
        ("{{range $net, $c := .Networks}}{{$net}}={{$c.IPAddress}} {{end}}", "a=10.0.0.1 bridge=172.17.0.2 "),
    ],
)  # fmt: skip
def test_rendering(source: str, wanted: str) -> None:
    assert render(parse(source), DATA, nils=NILS) == wanted


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{.Name", "unclosed action"),
        ("{{", "unclosed action"),
        ("{{ .Name }", 'unexpected "}" in operand'),
        ("{{.}x}}", "bad character U+007D '}'"),
        ("{{foo .}}", 'function "foo" not defined'),
        ("{{if .Name}}", "unexpected EOF"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{else}}", "unexpected {{else}}"),
        ('{{"abc}}', "unterminated quoted string"),
        ("{{$y}}", 'undefined variable "$y"'),
        ("{{if true}}{{$y := 1}}{{end}}{{$y}}", 'undefined variable "$y"'),
        ("{{range}}", "missing value for range"),
        ("{{break}}", "{{break}} outside {{range}}"),
        ("{{.Name.}}", "unexpected <.> in operand"),
        ("{{| .Name}}", 'unexpected "|" in command'),
        ("{{(.Name}}", "unclosed left paren"),
        ("{{.Name)}}", "unexpected right paren"),
        ("{{@}}", 'unexpected "@" in command'),
        ("{{}}", "missing value for command"),
    ],
)
def test_templates_that_cannot_be_read(source: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(source)
    assert caught.value.parsing
    assert caught.value.message == f"template: :1: {message}"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{.Foo}}", ':1:2: executing "" at <.Foo>: map has no entry for key "Foo"'),
        ("{{.State.Foo}}", ':1:8: executing "" at <.State.Foo>: map has no entry for key "Foo"'),
        ("x\n {{.Foo}}", ':2:3: executing "" at <.Foo>: map has no entry for key "Foo"'),
        (
            "{{.State.Running.Foo}}",
            ":1:8: executing \"\" at <.State.Running.Foo>: can't evaluate field Foo in type interface {}",
        ),
        (
            "{{index .Args 0}}",
            ':1:2: executing "" at <index .Args 0>: error calling index: reflect: slice index out of range',
        ),
        ("{{index .Args 9}}", ':1:2: executing "" at <index .Args 9>: error calling index: index out of range: 9'),
        ("{{eq .Name 1}}", ':1:2: executing "" at <eq .Name 1>: error calling eq: incompatible types for comparison'),
        ("{{nil}}", ':1:2: executing "" at <nil>: nil is not a command'),
        ("{{not}}", ':1:2: executing "" at <not>: wrong number of args for not: want 1 got 0'),
        ("{{len 3}}", ':1:2: executing "" at <len 3>: error calling len: len of type int'),
        ("{{index}}", ':1:2: executing "" at <index>: wrong number of args for index: want at least 1 got 0'),
        ("{{1 2}}", ":1:2: executing \"\" at <1>: can't give argument to non-function 1"),
        ("{{.Name 1}}", ':1:2: executing "" at <.Name>: Name is not a method but has arguments'),
        ("{{upper 3}}", ':1:8: executing "" at <3>: expected string; found 3'),
        ('{{join "a" ","}}', ":1:7: executing \"\" at <\"a\">: can't handle \"a\" for arg of type []string"),
        ('{{template "nope"}}', ':1:11: executing "" at <{{template "nope"}}>: template "nope" not defined'),
        ("{{range .Name}}{{end}}", ":1:8: executing \"\" at <.Name>: range can't iterate over /w2"),
    ],
)  # fmt: skip
def test_templates_that_cannot_be_followed(source: str, message: str) -> None:
    template = parse(source)
    with pytest.raises(TemplateError) as caught:
        render(template, DATA)
    assert not caught.value.parsing
    assert caught.value.message == f"template: {message}"


def test_a_template_that_calls_itself_ends() -> None:
    with pytest.raises(TemplateError, match="exceeded maximum template depth"):
        render(parse('{{define "x"}}{{template "x" .}}{{end}}{{template "x" .}}'), DATA)


def test_records_compute_only_what_is_asked_for() -> None:
    def never() -> object:
        raise AssertionError("nobody asked for this")

    record = Record("ContainerContext", {"ID": lambda: "abc", "Size": never}, {"Label": lambda name: f"<{name}>"})
    assert render(parse('{{.ID}} {{.Label "x"}} {{"y" | .Label}}'), record) == "abc <x> <y>"
    with pytest.raises(TemplateError) as caught:
        render(parse("{{.Foo}}"), record)
    assert caught.value.message.endswith("can't evaluate field Foo in type *formatter.ContainerContext")


def test_records_as_json() -> None:
    record = Record("X", {"B": lambda: None, "A": lambda: "1"}, {})
    assert render(parse("{{json .}}"), record) == '{"A":"1","B":null}'
    record = Record("X", {"A": lambda: "<&>"}, {})
    assert render(parse("{{json .}} {{json .A}}"), record) == '{"A":"\\u003c\\u0026\\u003e"} "<&>"'


def test_printing_as_go_does() -> None:
    assert printed({"b": [1, None], "a": 1.5}) == "map[a:1.5 b:[1 <nil>]]"
    assert printed(1e21) == "1e+21"
    assert printed(1e-7) == "1e-07"
    assert printed(None) == "<no value>"


@given(st.text(alphabet="{}.-|$()\"'`:=,x1 /*nilendifrangeelse", max_size=40))
def test_any_source_is_rendered_or_refused(source: str) -> None:
    with contextlib.suppress(TemplateError):
        render(parse(source), DATA)
