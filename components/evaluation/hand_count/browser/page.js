// The page: which picture is shown, what the keys do, what is written around it.

import { makeKeeper } from "./keep.js";
import { NAMES, areaUnder, blank, boxes, changed, joined as joinedAnswers, markArea, markMissed, same, tallies, undo, unmark } from "./marks.js";
import { by, status, toast } from "./notices.js";
import { makeViews } from "./view.js";

const LONGEST_LOOK_S = 300; // whoever is away for longer is not counting
const STEP_PX = 80;

const state = { sample: null, index: 0, since: 0, under: -1, keeper: null, pictures: new Map() };
const views = makeViews(by("views"), () => state.sample && draw());

const image = () => state.sample.images[state.index];
const answerTo = (one) => state.sample.answers[one.path] ?? blank(state.sample.sample_id, one.path);
const answer = () => answerTo(image());
const countedImages = () => state.sample.images.filter((one) => answerTo(one).counted).length;

async function start() {
  const reply = await fetch("/sample").catch(() => null);
  if (!reply?.ok) return problem(reply ? await reply.text() : "The server is gone: start `streetveil handcount serve` again.");
  state.sample = await reply.json();
  const prefix = `streetveil-handcount:${state.sample.sample_id}:${state.sample.counter}:`;
  state.keeper = makeKeeper({ prefix, address: "/answer", same, joined: joinedAnswers }, state.sample.answers, { status, joined });
  by("counter").textContent = state.sample.counter;
  by("total").textContent = by("finished-total").textContent = state.sample.images.length;
  show(Math.max(0, firstUncounted()));
  if (!countedImages() && !answer().marks.length) by("help").showModal();
}

const firstUncounted = () => state.sample.images.findIndex((one) => !answerTo(one).counted);

// Pictures are fetched one ahead, and forgotten two away.
function pictures(index) {
  if (!state.pictures.has(index)) {
    state.pictures.set(index, ["original", "published"].map((side) => Object.assign(new Image(), {
      src: `/picture/${index}/${side}`, alt: side, draggable: false,
    })));
  }
  return state.pictures.get(index);
}

async function show(index, again = false) {
  state.index = index;
  state.since = performance.now();
  const pair = pictures(index), { width, height, path } = image();
  by("problem").hidden = true;
  views.show(pair, width, height);
  for (const far of [...state.pictures.keys()].filter((other) => Math.abs(other - index) > 1)) state.pictures.delete(far);
  try {
    await Promise.all(pair.map((one) => one.decode()));
    if (index + 1 < state.sample.images.length && state.index === index) pictures(index + 1);
  } catch {
    state.pictures.delete(index);
    if (state.index !== index) return;
    if (!again) return show(index, true); // it was fetched ahead while the server was away
    problem(await whyNot(index, path));
  }
}

async function whyNot(index, path) {
  for (const side of ["original", "published"]) {
    const reply = await fetch(`/picture/${index}/${side}`).catch(() => null);
    if (!reply) return "The server is gone: start `streetveil handcount serve` again. Your marks are kept.";
    if (!reply.ok) return await reply.text();
  }
  return `${path} cannot be shown by this browser.`;
}

function draw() {
  const now = answer(), all = state.sample.images.length, finished = countedImages();
  state.under = areaUnder(image(), views.view.cursor);
  views.overlay(boxes(image(), now, state.under));
  by("number").textContent = state.index + 1;
  by("path").textContent = by("path").title = image().path;
  by("counted").hidden = !now.counted;
  by("done").textContent = `${finished} counted`;
  by("progress").style.width = `${(100 * finished) / all}%`;
  by("areas").textContent = image().areas.length === 1 ? "1 area" : `${image().areas.length} areas`;
  by("zoom").textContent = `${Math.round(views.view.scale * 100)} %`;
  for (const [name, count] of Object.entries(tallies(now))) {
    const tally = by(`tally-${name}`);
    tally.classList.toggle("some", count > 0);
    tally.querySelector("b").textContent = count;
  }
}

function looked() {
  const seconds = Math.min((performance.now() - state.since) / 1000, LONGEST_LOOK_S);
  state.since = performance.now();
  return Math.round((answer().seconds + seconds) * 10) / 10;
}

function keep(next) {
  state.keeper.keep({ ...next, seconds: looked() });
  draw();
}

function mark(what) {
  const { cursor } = views.view;
  if (!by("problem").hidden) return;
  if (!cursor) return toast("Put the cursor on the object first");
  if (what === "face" || what === "license_plate") return keep(markMissed(answer(), what, views.square()));
  if (state.under < 0) return toast("No blurred area under the cursor");
  keep(markArea(answer(), state.under, what));
}

function takeBack(next) {
  if (next) keep(next);
  else toast("Nothing to take back here");
}

function next() {
  if (!by("problem").hidden) return step(1); // a picture that cannot be seen is not counted
  if (!answer().counted) keep(changed(answer(), { counted: true }));
  if (countedImages() === state.sample.images.length) return by("finished").showModal();
  step(1);
}

function step(by_) {
  const index = state.index + by_;
  if (index < 0) return toast("This is the first picture");
  if (index < state.sample.images.length) return show(index);
  const left = firstUncounted();
  return left < 0 ? by("finished").showModal() : show(left);
}

function firstLeft() {
  const left = firstUncounted();
  return left < 0 ? toast("All pictures are counted") : show(left);
}

function problem(text) {
  by("problem").textContent = text;
  by("problem").hidden = false;
}

function joined(path) {
  toast(`${path} was marked in two windows: both are joined`);
  draw();
}

const KEYS = {
  f: () => mark("face"), p: () => mark("license_plate"), w: () => mark("wrong_blur"), r: () => mark("recognisable"),
  z: () => takeBack(answer().marks.length && undo(answer())),
  x: () => takeBack(views.view.cursor && unmark(answer(), image(), views.view.cursor)),
  " ": next, n: next, b: () => step(-1), u: firstLeft,
  "+": () => views.zoom(1.4), "=": () => views.zoom(1.4), "-": () => views.zoom(1 / 1.4), 0: views.fit,
  "[": () => views.resizeSquare(1 / 1.25), "]": () => views.resizeSquare(1.25),
  o: () => by("views").classList.toggle("unlined"), c: () => by("views").classList.add("swapped"),
  "?": () => by("help").showModal(),
  ArrowLeft: () => views.move(STEP_PX, 0), ArrowRight: () => views.move(-STEP_PX, 0),
  ArrowUp: () => views.move(0, STEP_PX), ArrowDown: () => views.move(0, -STEP_PX),
};
const REPEATED = /^(Arrow|[-+=[\]])/;

addEventListener("keydown", (event) => {
  if (!state.sample || document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!Object.hasOwn(KEYS, key)) return;
  event.preventDefault(); // the space bar would press the button that was clicked last
  if (!event.repeat || REPEATED.test(key)) KEYS[key]();
});
addEventListener("keyup", (event) => {
  if (event.key.toLowerCase() === "c") by("views").classList.remove("swapped");
});
addEventListener("blur", () => by("views").classList.remove("swapped"));

for (const [id, action] of Object.entries({ undo: KEYS.z, back: KEYS.b, next, ask: KEYS["?"] })) {
  by(id).addEventListener("click", () => { by(id).blur(); if (state.sample) action(); });
}

start();
