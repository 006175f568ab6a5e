"""The page of `minidock ui`: markup, style and a little script, all of it here."""

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>minidock</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"><style>
:root { color-scheme: light dark; --paper: #fbfaf7; --card: #fff; --ink: #1d2329; --soft: #626b75; --line: #dcd9d0;
  --blue: #2b6cb0; --green: #2f855a; --red: #c53030; --tint: #eef3f9; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --card: #1c2127; --ink: #e6e8ea; --soft: #98a2ad;
  --line: #333b44; --blue: #7db4ef; --green: #74cf9f; --red: #ff8a80; --tint: #1e2a38; } }
* { box-sizing: border-box } body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif } main { padding: 20px 26px 260px; max-width: 1500px; margin: 0 auto }
h1 { font-size: 22px; margin: 0 0 14px } h1 small { color: var(--soft); font-weight: 400; font-size: 14px }
h2 { font-size: 18px; margin: 26px 0 10px } h3 { font-size: 13px; margin: 12px 0 4px; color: var(--soft) }
.cards { display: grid; gap: 16px; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(420px, 100%), 1fr)) }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 18px; min-width: 0 }
.card header { display: flex; flex-wrap: wrap; gap: 2px 10px; align-items: baseline } .card b { font-size: 17px;
  overflow-wrap: anywhere }
.dot { width: 10px; height: 10px; border-radius: 9px; background: var(--soft) } .running .dot { background:
  var(--green) }
.soft { color: var(--soft); font-size: 13px } code, pre, td { font: 13px/1.5 ui-monospace, monospace }
button { all: unset; box-sizing: border-box; cursor: pointer; border: 1px solid var(--line); border-radius: 7px;
  padding: 2px 8px; margin: 2px 4px 2px 0; font-size: 13px; max-width: 100%; overflow-wrap: anywhere }
button:hover, button:focus-visible, tr.seen:hover, tr.seen:focus-visible { border-color: var(--blue);
  background: var(--tint); outline: none }
  button.chosen, tr.chosen { background: var(--tint); border-color: var(--blue) }
.own { border-color: var(--green); color: var(--green) }
.gauge { display: block; width: 100% } .meter { height: 7px; background: var(--line); margin: 3px 0 2px;
  border-radius: 5px; overflow: hidden } .meter i { display: block; height: 100%; background: var(--blue) }
.scroll { overflow-x: auto } table { border-spacing: 0; width: 100% }
td { padding: 1px 10px 1px 0; color: var(--soft); vertical-align: top } td:last-child { width: 100%; padding-right: 0 }
tr.seen { cursor: pointer } tr.seen td { color: var(--ink) } tr.seen td:last-child { overflow-wrap: anywhere }
.line { display: block; width: 100%; font: 12px/1.5 ui-monospace, monospace; background: var(--tint) }
.top { color: var(--green) }
details summary { cursor: pointer; color: var(--soft); font-size: 13px; margin-top: 8px }
#look { position: fixed; bottom: 0; left: 0; right: 0; background: var(--card); border-top: 2px solid var(--blue);
  padding: 12px 26px; max-height: 42vh; overflow: auto } #look:empty { display: none }
#look b { overflow-wrap: anywhere }
#look pre { margin: 6px 0 0; white-space: pre-wrap; overflow-wrap: anywhere } #look .close { float: right }
#look .said { white-space: pre; overflow-wrap: normal; overflow-x: auto; color: var(--soft) }
#gone { color: var(--red) }
@media (max-width: 600px) { main { padding: 14px 12px 300px } #look { padding: 10px 12px } .card { padding: 12px } }
</style></head><body><main><h1>minidock <small id="when">asking …</small> <small id="gone"></small></h1>
<div class="cards" id="containers"></div><h2>Networks</h2><div class="cards" id="networks"></div>
<h2>Events <small class="soft">minidock's own, newest first: sudo minidock events</small></h2>
<div class="card scroll"><table id="events"></table></div></main><div id="look"></div><script>
"use strict";
const make = (tag, text, kind) => { const e = document.createElement(tag); if (text !== undefined) e.textContent = text;
  if (kind) e.className = kind; return e; };
const clock = date => date.toLocaleTimeString([], { hourCycle: "h23" });
const put = (e, ...inside) => { e.append(...inside); return e; };
const opened = new Set();
let chosen = "";
const mark = () => document.querySelectorAll("[data-command]").forEach(e =>
  e.classList.toggle("chosen", e.dataset.command === chosen));
async function look(thing) {  // what a thing's command prints now
  const box = document.getElementById("look"), close = make("button", "close", "close");
  close.onclick = () => { chosen = ""; box.replaceChildren(); mark(); };
  chosen = thing.command; mark();
  const answer = await fetch("file?command=" + encodeURIComponent(thing.command)), said = await answer.text();
  box.replaceChildren(close, put(make("div"), make("b", thing.name + ": " + thing.value)),
    make("div", "man: " + thing.man + " \u00a0 code: " + thing.source, "soft"),
    make("pre", "$ sudo " + thing.command), make("pre", said, "said"));
}
function shows(e, thing) {  // a click and the enter key show what is behind it
  e.dataset.command = e.title = thing.command; e.tabIndex = 0; e.onclick = () => look(thing);
  if (e.tagName !== "BUTTON") e.onkeydown = event => { if (event.key === "Enter") look(thing); };
  return e;
}
const button = (thing, text, kind) => shows(make("button", text, kind), thing);
function gauge(meter) {
  const box = button(meter.thing, meter.text, "gauge");
  if (meter.share !== null) { const bar = make("i"); bar.style.width = Math.min(100, 100 * meter.share) + "%";
    put(box, put(make("div", undefined, "meter"), bar)); }
  return box;
}
function processes(one, titles) {
  const table = make("table"), row = cells => { const r = make("tr"); cells.forEach(v => put(r, make("td", v)));
    return r; };
  put(table, row(titles), ...one.processes.map(p => { const r = shows(row(p.cells), p.thing); r.classList.add("seen");
    return r; }));
  return put(make("div", undefined, "scroll"), table);
}
function everything(one) {
  const all = put(make("details"), make("summary", "everything the kernel has of it"));
  all.open = opened.has(one.id); all.ontoggle = () => all.open ? opened.add(one.id) : opened.delete(one.id);
  for (const part of one.kernel)
    put(all, make("h3", part.title), ...part.things.map(t => button(t, t.name + ": " + t.value)));
  return all;
}
const titles = [];
function container(one) {
  const card = make("section", undefined, "card" + (one.running ? " running" : "")); card.id = "c-" + one.name;
  put(card, put(make("header"), make("span", undefined, "dot"), make("b", one.name), make("span", one.image, "soft"),
    make("span", one.state, "soft")));
  const part = (title, list) => { if (list.length) put(card, make("h3", title), ...list); };
  part("Namespaces: its own are green", one.namespaces.map(t => button(t, t.name, t.value.includes("its own") ?
    "own" : "")));
  part("Cgroup", one.meters.map(gauge));
  part("Processes", one.processes.length ? [processes(one, titles)] : []);
  part("Layers, the top first", one.layers.map((t, n) => button(t, t.name + "\u2002" + t.value,
    n ? "line" : "line top")));
  part("Ports", one.ports.map(t => button(t, t.value, "line")));
  if (one.kernel.length) put(card, everything(one));
  return card;
}
function network(one) {
  const card = make("section", undefined, "card");
  put(card, put(make("header"), make("b", one.name), make("span", one.driver, "soft")));
  one.things.forEach(t => put(card, button(t, t.name + "\u2002" + t.value, "line")));
  return card;
}
const drawn = new Map();
function same(kind, one, draw) {  // what hasn't changed stays as it is: focus and selection, too
  const text = JSON.stringify(one), key = kind + (one.id || one.name), before = drawn.get(key);
  if (before && before.text === text) return before.card;
  const card = draw(one); drawn.set(key, {text, card});
  return card;
}
function fill(id, list) {
  const box = document.getElementById(id);
  if (list.length === box.children.length && list.every((e, n) => e === box.children[n])) return;
  const on = document.activeElement?.dataset?.command;  // a card that is drawn anew keeps the focus
  box.replaceChildren(...list);
  if (on && document.activeElement === document.body)
    [...box.querySelectorAll("[data-command]")].find(e => e.dataset.command === on)?.focus({preventScroll: true});
}
async function tick() {
  try {
    const answer = await fetch("state"); if (!answer.ok) throw new Error(answer.status);
    const now = await answer.json();
    titles.splice(0, titles.length, ...now.titles);
    const cards = now.containers.map(one => same("c", one, container));
    fill("containers", cards.length ? cards : [make("p", "no containers yet: sudo minidock run -d busybox sleep 999",
      "soft")]);
    fill("networks", now.networks.map(one => same("n", one, network)));
    fill("events", now.events.slice(0, 30).map(e => { const r = make("tr");
      [clock(new Date(e.time * 1000)), e.Type, e.Action, e.Actor.ID.slice(0, 12),
       e.Actor.Attributes.name || ""].forEach(v => put(r, make("td", v))); return r; }));
    mark();
    document.getElementById("when").textContent = "what the kernel has at " + clock(new Date());
    document.getElementById("gone").textContent = "";
  } catch (error) { document.getElementById("gone").textContent = "minidock ui doesn't answer: " + error.message; }
  setTimeout(tick, 1000);
}
tick();
</script></body></html>
"""
