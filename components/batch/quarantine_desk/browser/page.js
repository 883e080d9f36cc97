// The page: which picture is shown, what the keys do, what is written around it. Only Enter publishes.

import { makeKeeper } from "./keep.js";
import { by, status, toast } from "./notices.js";
import { add, altered, between, blank, boxes, joined as joinedDrafts, moved, regions, remove, resized, same, under } from "./regions.js";
import { makeViews } from "./view.js";

const STEP_PX = 80, NUDGE_PX = 8, CORNER_PX = 12, ONE_CHANGE_MS = 1000;

const state = { desk: null, index: 0, look: null, selected: -1, drag: null, busy: false, keeper: null, looks: new Map(), undo: new Map() };
const views = makeViews(by("views"), () => state.desk && draw(), { press, drag, release });

const image = () => state.desk.images[state.index];
const isDecided = (one) => one.state === "published" || one.reason === "discarded";
const left = () => state.desk.images.filter((one) => !isDecided(one)).length;
const editable = () => Boolean(state.look) && !state.busy && !isDecided(image());
const list = () => regions(state.look, draft());

function draft() {
  const stands = state.desk.drafts[image().path];
  return stands?.input_sha256 === state.look.input_sha256 ? stands : { ...blank(image().path, state.look.input_sha256), revision: stands?.revision ?? 0 };
}

async function start() {
  const reply = await fetch("/desk").catch(() => null);
  if (!reply?.ok) return problem(reply ? await reply.text() : "The server is gone: start `streetveil quarantine desk` again.");
  state.desk = await reply.json();
  const of = { prefix: `streetveil-desk:${state.desk.destination}:`, address: "/draft", same, joined: joinedDrafts };
  state.keeper = makeKeeper(of, state.desk.drafts, { status, joined });
  by("by").textContent = state.desk.by;
  by("total").textContent = state.desk.images.length;
  if (!state.desk.images.length) return finished();
  show(Math.max(0, state.desk.images.findIndex((one) => one.name === location.hash.slice(1))));
  if (!Object.keys(state.desk.drafts).length) by("help").showModal();
}

// Looks are fetched one ahead, and forgotten when they are three away.
function look(one) {
  if (!state.looks.has(one.name)) {
    state.looks.set(one.name, fetch(`/look/${one.name}`).then(async (reply) => (reply.ok ? reply.json() : { why: await reply.text() }))
      .catch(() => { state.looks.delete(one.name); return { why: "The server is gone: start `streetveil quarantine desk` again. What you drew is kept." }; }));
    if (state.looks.size > 3) state.looks.delete(state.looks.keys().next().value);
  }
  return state.looks.get(one.name);
}

async function show(index) {
  Object.assign(state, { index, look: null, selected: -1, drag: null });
  const one = image();
  history.replaceState(null, "", `#${one.name}`); // a reload comes back to it
  by("problem").hidden = true;
  document.querySelector(".pane img")?.remove();
  by("side").textContent = "looking …";
  draw();
  const seen = await look(one);
  if (image() !== one) return;
  if (seen.why) return problem(seen.why, "There is no picture to look at");
  state.look = seen;
  await picture(one);
  const next = state.desk.images.slice(index + 1).find((other) => !isDecided(other));
  if (next && image() === one) look(next);
}

async function picture(one) {
  const side = one.state === "published" ? "published" : "original";
  const shown = Object.assign(new Image(), { src: `/picture/${one.name}/${side}`, alt: side, draggable: false });
  views.show([shown], state.look.width, state.look.height);
  try {
    await shown.decode();
  } catch {
    if (image() === one) problem("The server is gone: start `streetveil quarantine desk` again. What you drew is kept.");
  }
}

function draw() {
  if (!state.desk.images.length) return;
  const one = image(), decided = isDecided(one), kinds = { found: 0, drawn: 0, visible: 0 };
  const shown = state.look && !decided ? list() : [];
  for (const box of shown) kinds[box.kind] += 1;
  views.overlay(state.look ? boxes(shown, state.look, state.selected, state.drag?.box) : []);
  for (const [kind, count] of Object.entries(kinds)) {
    by(`tally-${kind}`).classList.toggle("some", count > 0);
    by(`tally-${kind}`).querySelector("b").textContent = count;
  }
  by("number").textContent = state.index + 1;
  by("path").textContent = by("path").title = one.path;
  by("state").hidden = !decided;
  by("state").className = `badge ${one.reason ?? ""}`;
  by("state").textContent = one.state === "published" ? "published" : "discarded";
  by("left").textContent = `${left()} left`;
  by("progress").style.width = `${100 - (100 * left()) / state.desk.images.length}%`;
  by("zoom").textContent = state.look ? `${Math.round(views.view.scale * 100)} %` : "–";
  if (state.look) by("side").textContent = one.state === "published" ? "Published" : "Original";
  by("views").classList.toggle("finished", decided || !state.look);
  by("publish").disabled = !editable();
  by("undo").disabled = !editable() || !state.undo.get(one.path)?.length;
  by("discard").disabled = decided || state.busy;
  tellReason(one);
}

function tellReason(one) {
  const published = one.state === "published";
  const hidden = published && `${one.hidden.face} faces and ${one.hidden.license_plate} plates are hidden`;
  const [name, text] = one.failed ? ["not done", one.failed] : published ? ["published", hidden] : [one.reason, one.detail];
  by("reason").className = published ? "published" : one.failed || one.again ? "again" : "";
  by("reason").querySelector("b").textContent = one.again && !one.failed && !isDecided(one) ? `still in quarantine: ${name}` : name;
  by("reason").querySelector("span").textContent = [text, state.look?.blind && !isDecided(one) && `· the detectors could not look: ${state.look.blind}`].filter(Boolean).join(" ");
}

// Every change is kept; several within a moment, as by a held arrow, are undone as one.
function keep(next, kind = "") {
  const path = image().path, before = draft(), stack = state.undo.get(path) ?? [];
  const last = stack.at(-1), now = performance.now();
  if (kind && last?.kind === kind && now - last.at < ONE_CHANGE_MS) last.at = now;
  else stack.push({ drawn: before.drawn, removed: before.removed, kind, at: now });
  state.undo.set(path, stack);
  image().failed = null;
  state.keeper.keep(next);
  draw();
}

function undo() {
  const last = state.undo.get(image().path)?.pop();
  if (!last || !editable()) return toast("Nothing to undo");
  const now = draft();
  state.selected = -1;
  state.keeper.keep({ ...now, drawn: last.drawn, removed: last.removed, revision: now.revision + 1 });
  draw();
}

function hide(className, box) {
  const next = add(draft(), { class_name: className, ...box });
  state.selected = state.look.found.length + next.drawn.length - 1;
  keep(next);
}

function mark(className) {
  if (editable()) hide(className, views.square(views.view.cursor ?? views.centre()));
}

function press(point, event) {
  if (!editable() || event.button !== 0 || event.altKey) return false;
  const box = list()[state.selected], reach = CORNER_PX / views.view.scale;
  const atCorner = box && Math.abs(point.x - box.x2) < reach && Math.abs(point.y - box.y2) < reach;
  const within = box && point.x >= box.x1 && point.x < box.x2 && point.y >= box.y1 && point.y < box.y2;
  const how = box?.kind !== "drawn" ? "draw" : atCorner ? "resize" : within ? "move" : "draw";
  state.drag = { how, from: point, to: point, start: box, box: null };
  return true;
}

function drag(point) {
  state.drag.to = point;
  const { how, from, start } = state.drag;
  const dx = Math.round(point.x - from.x), dy = Math.round(point.y - from.y);
  state.drag.box = how === "draw" ? between(from, point, views.view.scale)
    : { ...start, ...(how === "move" ? moved(start, state.look, dx, dy) : resized(start, dx, dy)) };
  draw();
}

function release() {
  const { how, from, to, box } = state.drag;
  state.drag = null;
  const isClick = Math.hypot(to.x - from.x, to.y - from.y) * views.view.scale < 4;
  if (isClick || !box) {
    state.selected = under(list(), to);
    return draw();
  }
  if (how === "draw") return hide("face", box);
  const { x1, y1, x2, y2 } = box;
  keep(altered(draft(), state.look, state.selected, { x1, y1, x2, y2 }));
}

function select(by_) {
  const count = state.look ? list().length : 0;
  if (!count || !editable()) return toast("There is no region");
  state.selected = state.selected < 0 ? (by_ > 0 ? 0 : count - 1) : (state.selected + by_ + count) % count;
  draw();
}

function removeRegion() {
  if (!editable()) return;
  const index = state.selected >= 0 ? state.selected : views.view.cursor ? under(list(), views.view.cursor) : -1;
  if (index < 0) return toast("Select a region first: Tab, or a click");
  if (index >= state.look.found.length) state.selected = -1;
  keep(remove(draft(), state.look, index));
}

function changeSelected(change, kind) {
  const next = altered(draft(), state.look, state.selected, change);
  if (next) keep(next, kind);
  else toast("What was found keeps its place and class: draw another region over it");
}

function toggleClass() {
  if (!editable() || state.selected < 0) return toast("Select a region first: Tab, or a click");
  const box = list()[state.selected];
  changeSelected({ class_name: box.class_name === "face" ? "license_plate" : "face" });
}

function arrow(x, y, event) {
  if (!editable() || state.selected < 0) return views.move(-x * STEP_PX, -y * STEP_PX);
  const step = event.ctrlKey ? 1 : Math.max(1, Math.round(NUDGE_PX / views.view.scale)), box = list()[state.selected];
  changeSelected(event.shiftKey ? resized(box, x * step, y * step) : moved(box, state.look, x * step, y * step), "arrow");
}

async function decide(address, body) {
  const one = image();
  Object.assign(state, { busy: true, selected: -1 });
  one.failed = null;
  draw();
  const reply = await fetch(address, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  }).catch(() => null);
  state.busy = false;
  if (reply?.ok) Object.assign(one, await reply.json(), { again: true });
  else one.failed = reply ? await why(reply) : "the server is gone: start `streetveil quarantine desk` again; nothing was decided";
  draw();
  return one;
}

async function why(reply) {
  const text = await reply.text();
  try {
    return String(JSON.parse(text).detail ?? text);
  } catch {
    return text;
  }
}

async function publish() {
  if (state.busy) return;
  if (!editable()) return toast(isDecided(image()) ? "It is decided" : "A picture that nobody can see is not published");
  toast("publishing …");
  const one = await decide("/publish", { ...draft(), revision: Math.max(1, draft().revision) });
  if (one.state !== "published") return toast("Not published: the reason stands above the picture");
  delete state.desk.drafts[one.path];
  state.undo.delete(one.path);
  toast("Published");
  if (image() === one) await picture(one);
  draw();
}

function askToDiscard() {
  if (state.busy || isDecided(image())) return toast("It is decided");
  by("give-up-path").textContent = image().path;
  by("why").value = "";
  by("why").classList.remove("missing");
  by("give-up").showModal();
  by("why").focus();
}

async function discard(event) {
  const why = by("why").value.trim();
  if (!why) {
    event.preventDefault();
    by("why").classList.add("missing");
    return by("why").focus();
  }
  const one = await decide("/discard", { path: image().path, why });
  if (isDecided(one)) {
    toast("Discarded");
    next();
  }
}

function next() {
  const all = state.desk.images, order = all.map((_, i) => (state.index + 1 + i) % all.length);
  const found = order.find((i) => !isDecided(all[i]));
  if (found === undefined) return finished();
  if (found === state.index) return toast("This is the last one that is left");
  show(found);
}

function back() {
  if (state.index) show(state.index - 1);
  else toast("This is the first picture");
}

function finished() {
  const all = state.desk.images, published = all.filter((one) => one.state === "published").length;
  by("finished-text").textContent = all.length
    ? `${published} published, ${all.length - published} discarded. Close this page and stop the server with Ctrl-C.`
    : "No picture waits in quarantine.";
  by("finished").showModal();
}

function problem(text, title = "") {
  by("problem").replaceChildren(...[title, text].filter(Boolean).map((line) => Object.assign(document.createElement("span"), { textContent: line })));
  by("problem").hidden = false;
  by("side").textContent = "";
}

function joined(path) {
  toast(`${path} was changed in two windows: both are joined`);
  draw();
}

const KEYS = {
  f: () => mark("face"), p: () => mark("license_plate"), t: toggleClass, x: removeRegion, Delete: removeRegion, z: undo,
  Tab: (event) => select(event.shiftKey ? -1 : 1), Escape: () => { state.selected = -1; draw(); },
  " ": next, n: next, b: back, Enter: publish, d: askToDiscard,
  "+": () => views.zoom(1.4), "=": () => views.zoom(1.4), "-": () => views.zoom(1 / 1.4), 0: views.fit,
  "[": () => views.resizeSquare(1 / 1.25), "]": () => views.resizeSquare(1.25),
  o: () => by("views").classList.toggle("unlined"), "?": () => by("help").showModal(),
  ArrowLeft: (event) => arrow(-1, 0, event), ArrowRight: (event) => arrow(1, 0, event),
  ArrowUp: (event) => arrow(0, -1, event), ArrowDown: (event) => arrow(0, 1, event),
};
const REPEATED = /^(Arrow|[-+=[\]]|Tab)/;

addEventListener("keydown", (event) => {
  if (!state.desk?.images.length || document.querySelector("dialog[open]") || event.metaKey || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!Object.hasOwn(KEYS, key) || (event.ctrlKey && !key.startsWith("Arrow"))) return;
  event.preventDefault(); // Enter and space would press the button that was clicked last
  if (!event.repeat || REPEATED.test(key)) KEYS[key](event);
});

for (const [id, action] of Object.entries({ undo, back, next, discard: askToDiscard, publish, ask: KEYS["?"] })) {
  by(id).addEventListener("click", () => { by(id).blur(); if (state.desk?.images.length || id === "ask") action(); });
}
by("why").addEventListener("input", () => by("why").classList.remove("missing"));
by("keep").addEventListener("click", () => by("give-up").close());
document.querySelector("#give-up form").addEventListener("submit", discard);

start();
