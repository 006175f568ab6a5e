"""--explain=html: what has happened, as one page without anything from outside, good enough for a wall.

The page is made from the recorded steps alone: each picture in explain_pictures.py reads the values of those it shows,
and is left out where there were none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from .explain_pictures import pictures

if TYPE_CHECKING:
    from .explain import Row

STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf7; --card: #fff; --ink: #1d2329; --soft: #626b75; --line: #dcd9d0;
  --host: #2b6cb0; --inside: #2f855a; --bad: #c53030; --undo: #97632a; --tint: #eef3f9; --tint2: #eaf5ef; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --card: #1c2127; --ink: #e6e8ea; --soft: #98a2ad;
  --line: #333b44; --host: #7db4ef; --inside: #74cf9f; --bad: #ff8a80; --undo: #e0ad6c; --tint: #1e2a38;
  --tint2: #1b2f27; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.5 system-ui, sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 40px 28px 80px; }
h1 { font-size: 20px; font-weight: 500; margin: 0; color: var(--soft); }
h2 { font-size: 25px; margin: 52px 0 6px; letter-spacing: -.01em; }
.command { font: 600 24px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; margin: 4px 0 22px; }
p.lead { color: var(--soft); margin: 0 0 16px; max-width: 75ch; }
.figures { display: flex; flex-wrap: wrap; gap: 14px; }
.figures div { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 12px 22px; }
.figures b { display: block; font-size: 30px; line-height: 1.2; }
.figures span { color: var(--soft); font-size: 15px; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 18px; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--ink); font: 15px system-ui, sans-serif; }
svg .soft { fill: var(--soft); font-size: 13px; } svg .mono { font-family: ui-monospace, monospace; font-size: 13px; }
svg .name { font-weight: 600; }
svg .box { fill: var(--card); stroke: var(--line); stroke-width: 1.5; }
svg .host { fill: var(--tint); stroke: var(--host); stroke-width: 1.5; }
svg .inside { fill: var(--tint2); stroke: var(--inside); stroke-width: 1.5; }
svg .shared { fill: none; stroke: var(--line); stroke-dasharray: 5 4; stroke-width: 1.5; }
svg .wire { stroke: var(--soft); stroke-width: 2; fill: none; }
svg .bar-host { fill: var(--host); } svg .bar-container { fill: var(--inside); } svg .bar-failed { fill: var(--bad); }
details { background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin: 7px 0; }
summary { cursor: pointer; padding: 10px 16px; display: grid; gap: 14px; align-items: baseline;
  grid-template-columns: 2.2em 5.5em 1fr 6em; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary:focus-visible { outline: 2px solid var(--host); }
summary .n, summary .ms { color: var(--soft); font-variant-numeric: tabular-nums; text-align: right; font-size: 15px; }
.tag { font-size: 13px; font-weight: 600; color: var(--host); } .container .tag { color: var(--inside); }
.failed .tag, .failed .what { color: var(--bad); } .undone .tag { color: var(--undo); }
.more { padding: 2px 16px 14px 9.4em; }
.more p { margin: 0 0 8px; color: var(--soft); }
pre { margin: 0 0 8px; padding: 10px 14px; background: var(--paper); border-radius: 8px; white-space: pre-wrap;
  overflow-wrap: anywhere; font: 14px/1.45 ui-monospace, monospace; }
.more span { font: 14px ui-monospace, monospace; color: var(--soft); margin-right: 2em; }
footer { margin-top: 60px; color: var(--soft); font-size: 14px; }
.what, p, .more span { overflow-wrap: anywhere; min-width: 0; }
@media (max-width: 700px) { main { padding: 20px 14px 60px; } summary { grid-template-columns: 2em 1fr 5em; gap: 8px;
  padding: 10px; } summary .tag { display: none; } .more { padding-left: 16px; } .command { font-size: 18px; }
  .figures div { padding: 8px 14px; flex: 1 1 40%; } figure { padding: 10px; overflow-x: auto; }
  svg { width: auto; min-width: 760px; } }
"""


def page(rows: Sequence[Row], command: str) -> str:
    """The whole report."""
    made = [row for row in rows if row.event != "undone"]
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(command)}</title><style>{STYLE}</style></head><body><main>",
            f'<h1>Every step that was asked of the kernel for</h1><div class="command">{escape(command)}</div>',
            f'<div class="figures">{"".join(_figures(rows))}</div>',
            *(f"<h2>{title}</h2><p class=lead>{lead}</p><figure>{svg}</figure>" for title, lead, svg in pictures(made)),
            "<h2>Step by step</h2><p class=lead>Open a step for the reason, the line of shell that does the same, "
            "the man page and the place in the code.</p>",
            *(_row(number, row) for number, row in enumerate(rows, start=1)),
            "<footer>Written by minidock --explain=html from what happened: run it again and it is another page."
            "</footer></main></body></html>\n",
        ]
    )


def _figures(rows: Sequence[Row]) -> Iterator[str]:
    made = [row for row in rows if row.event == "done"]
    took = sum(row.seconds for row in made)
    failed = sum(row.event == "failed" for row in rows)
    for figure, caption in (
        (str(sum(row.where == "host" for row in made)), "steps on the host"),
        (str(sum(row.where == "container" for row in made)), "steps in the container"),
        (f"{took * 1000:.1f} ms", "in the kernel and on the way"),
        (str(sum(row.event == "undone" for row in rows)), "steps undone"),
        *([(str(failed), "failed")] if failed else []),
    ):
        yield f"<div><b>{figure}</b><span>{caption}</span></div>"


def _row(number: int, row: Row) -> str:
    tag = row.where if row.event == "done" else row.event
    return (
        f'<details class="{row.where} {row.event}"{" open" if row.event == "failed" else ""}><summary>'
        f"<span class=n>{number}</span><span class=tag>{tag}</span><span class=what>{escape(row.what)}</span>"
        f"<span class=ms>{f'{row.seconds * 1000:.2f} ms' if row.event != 'undone' else ''}</span></summary>"
        f"<div class=more>{f'<p>{escape(row.error)}</p>' if row.error else ''}<p>{escape(row.why)}</p>"
        f"{f'<pre>{escape(row.shell)}</pre>' if row.shell else ''}"
        f"<span>{escape(row.man)}</span><span>{escape(row.source)}</span></div></details>"
    )
