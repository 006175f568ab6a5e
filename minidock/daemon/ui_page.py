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
.cards { display: grid; gap: 16px; align-items: start; grid-template-columns: repeat(auto-fill, minmax(430px, 1fr)) }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 18px }
.card header { display: flex; gap: 10px; align-items: baseline } .card b { font-size: 17px }
.dot { width: 10px; height: 10px; border-radius: 9px; background: var(--soft) } .running .dot { background:
  var(--green) }
.soft { color: var(--soft); font-size: 13px } code, pre, td { font: 13px/1.5 ui-monospace, monospace }
button { all: unset; cursor: pointer; border: 1px solid var(--line); border-radius: 7px; padding: 2px 8px; margin: 2px;
  font-size: 13px } button:hover, button:focus-visible { border-color: var(--blue); background: var(--tint) }
.own { border-color: var(--green); color: var(--green) } .meter { height: 8px; background: var(--line);
  border-radius: 5px; overflow: hidden } .meter i { display: block; height: 100%; background: var(--blue) }
table { border-spacing: 0; width: 100% } td { padding: 1px 10px 1px 0; color: var(--soft); vertical-align: top }
.layer { font: 12px ui-monospace, monospace; background: var(--tint); border-radius: 6px; padding: 3px 8px; margin:
  2px 0;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap } .top { color: var(--green) }
details summary { cursor: pointer; color: var(--soft); font-size: 13px; margin-top: 8px }
#look { position: fixed; bottom: 0; left: 0; right: 0; background: var(--card); border-top: 2px solid var(--blue);
  padding: 12px 26px; max-height: 42vh; overflow: auto } #look:empty { display: none }
#look pre { margin: 6px 0 0; white-space: pre-wrap; overflow-wrap: anywhere } #gone { color: var(--red) }
</style></head><body><main><h1>minidock <small id="when">asking …</small> <small id="gone"></small></h1>
<div class="cards" id="containers"></div><h2>Networks</h2><div class="cards" id="networks"></div>
<h2>Events</h2><div class="card"><table id="events"></table></div></main><div id="look"></div><script>
"use strict";
const make = (tag, text, kind) => { const e = document.createElement(tag); if (text !== undefined) e.textContent = text;
  if (kind) e.className = kind; return e; };
const put = (e, ...inside) => { e.append(...inside); return e; };
const opened = new Set();
async function look(fact, part) {
  const box = document.getElementById("look");
  const answer = await fetch("file?command=" + encodeURIComponent(fact.Command));
  box.replaceChildren(put(make("div"), make("b", fact.Name + ": " + fact.Value),
    make("span", "   man: " + part.Man + "   code: " + part.Source, "soft")),
    make("pre", "$ sudo " + fact.Command), make("pre", await answer.text(), "soft"));
}
const button = (fact, part, text, kind) => { const b = make("button", text, kind); b.onclick = () => look(fact, part);
  b.title = fact.Command; return b; };
function meters(part) {
  const by = Object.fromEntries(part.Facts.map(f => [f.Name, f])), box = make("div");
  for (const [now, most, unit] of [["memory: current", "memory: limit", 1048576], ["pids: current", "pids: limit",
  1]]) {
    if (!by[now]) continue;
    const limit = by[most] ? parseFloat(by[most].Value) : NaN, used = parseFloat(by[now].Value);
    const shown = v => unit > 1 ? (v / unit).toFixed(1) + " MiB" : v;
    put(box, button(by[now], part, now.split(":")[0] + " " + shown(used) +
      (isNaN(limit) ? ", no limit" : " of " + shown(limit))));
    if (!isNaN(limit)) { const bar = make("i"); bar.style.width = Math.min(100, 100 * used / limit) + "%";
      put(box, put(make("div", undefined, "meter"), bar)); }
  }
  return box;
}
function container(one) {
  const card = make("section", undefined, "card " + one.state.Status); card.id = "c-" + one.name;
  put(card, put(make("header"), make("span", undefined, "dot"), make("b", one.name), make("span", one.image, "soft"),
    make("span", one.state.Status + (one.state.Running ? "" : " (" + one.state.ExitCode + ")"), "soft")));
  for (const part of one.kernel) {
    if (part.Title === "Namespaces") { put(card, make("h3", "Namespaces"));
      for (const f of part.Facts.filter(f => f.Command.startsWith("readlink")))
        put(card, button(f, part, f.Name, f.Value.includes("its own") ? "own" : "")); }
    if (part.Title === "Cgroup") put(card, make("h3", "Cgroup"), meters(part));
  }
  if (one.top.length > 1) { const t = make("table");
    for (const row of one.top) { const r = make("tr"); row.forEach(v => put(r, make("td", v))); put(t, r); }
    put(card, make("h3", "Processes"), t); }
  put(card, make("h3", "Layers, the top first"));
  one.layers.filter(Boolean).forEach((l, n) => {
    const d = make("div", l, n ? "layer" : "layer top"); d.title = l; put(card, d); });
  const ports = Object.entries(one.ports).flatMap(([inside, outs]) => (outs || []).map(o => o.HostIp + ":" +
  o.HostPort +
    " → " + inside));
  if (ports.length) put(card, make("h3", "Ports"), make("code", ports.join("   ")));
  if (one.kernel.length) { const all = make("details"); put(all, make("summary", "everything the kernel has of it"));
    all.open = opened.has(one.id); all.ontoggle = () => all.open ? opened.add(one.id) : opened.delete(one.id);
    for (const part of one.kernel) { put(all, make("h3", part.Title));
      part.Facts.forEach(f => put(all, button(f, part, f.Name + ": " + f.Value))); }
    put(card, all); }
  return card;
}
function network(one) {
  const card = make("section", undefined, "card");
  put(card, put(make("header"), make("b", one.name), make("span", one.driver + "  " + one.bridge, "soft")));
  one.ports.forEach(p => put(card, make("div", "⊸ " + p, "layer")));
  one.ends.forEach(([name, address]) => put(card, make("div", name + "  " + address, "soft")));
  return card;
}
const drawn = new Map();
function same(one, draw) {  // what hasn't changed stays as it is: focus and selection, too
  const text = JSON.stringify(one), key = one.id || one.name, before = drawn.get(key);
  if (before && before.text === text) return before.card;
  const card = draw(one); drawn.set(key, {text, card});
  return card;
}
async function tick() {
  try {
    const answer = await fetch("state"); if (!answer.ok) throw new Error(answer.status);
    const now = await answer.json();
    const fill = (id, list) => { const box = document.getElementById(id);
      if (list.length !== box.children.length || list.some((e, n) => e !== box.children[n]))
        box.replaceChildren(...list); };
    const cards = now.containers.map(one => same(one, container));
    fill("containers", cards.length ? cards : [make("p", "no containers yet", "soft")]);
    fill("networks", now.networks.map(one => same(one, network)));
    fill("events", now.events.reverse().slice(0, 30).map(e => { const r = make("tr");
      [new Date(e.time * 1000).toLocaleTimeString(), e.Type, e.Action, e.Actor.Attributes.name || "",
       e.Actor.ID.slice(0, 12)].forEach(v => put(r, make("td", v))); return r; }));
    document.getElementById("when").textContent = "what the kernel has at " + new Date().toLocaleTimeString();
    document.getElementById("gone").textContent = "";
  } catch (error) { document.getElementById("gone").textContent = "minidock ui doesn't answer: " + error.message; }
  setTimeout(tick, 1000);
}
tick();
</script></body></html>
"""
