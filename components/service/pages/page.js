// Drop a picture, see it blurred, mark what was missed.

import { blurred, health, Problem, reported, token, useToken } from "/pages/answer.js";
import { Drawing } from "/pages/drawing.js";

const by = (id) => document.getElementById(id);
const drawing = new Drawing(by("stage"), by("picture"), by("marks"), by("reticle"));
const STEP = 0.01;

let original = null; // the file, in this tab only
let answer = null; // the last one of the service
let fixed = []; // regions that are hidden already
let marks = []; // regions that are drawn and not sent
let wrong = []; // areas that were reported as wrong
let chosen = "face";

function say(text) {
  by("status").textContent = text;
}

function complain(error) {
  if (!(error instanceof Problem)) throw error;
  by("problem").textContent = error.message;
  by("problem").hidden = false;
  say("not done");
  if (error.status === 401) ask();
}

function ask() {
  by("ask").hidden = false;
  by("token").focus();
}

function hidden() {
  return answer ? answer.metadata.annotations.map((found) => found.shape) : [];
}

function render() {
  drawing.draw([
    ...hidden().map((box) => ({ box, kind: "hidden" })),
    ...wrong.map((box) => ({ box, kind: "wrong" })),
    ...marks.map(({ box }) => ({ box, kind: "missed" })),
  ]);
  drawing.show();
  by("count").textContent = marks.length;
  by("hide").disabled = marks.length === 0;
}

async function send(regions) {
  by("problem").hidden = true;
  say("blurring …");
  answer = await blurred(original, regions);
  URL.revokeObjectURL(by("picture").src);
  by("picture").src = by("save").href = URL.createObjectURL(answer.image);
  by("save").download = original.name;
  await by("picture").decode().catch(() => {
    throw new Problem(0, "this browser cannot show the format; Save works");
  });
}

async function take(file) {
  if (!file) return;
  original = file;
  [answer, fixed, marks, wrong] = [null, [], [], []];
  try {
    by("drop").hidden = true;
    by("stage").hidden = by("tools").hidden = false;
    await send([]);
    say(`${hidden().length} hidden`);
    render();
    by("stage").focus();
  } catch (error) {
    another();
    complain(error);
  }
}

async function hide() {
  if (!marks.length || !answer) return;
  const [missed, first] = [marks, answer.metadata.blurring_id];
  marks = [];
  try {
    await send([...fixed, ...missed]);
    fixed = [...fixed, ...missed];
    render();
    for (const mark of missed) await reported(first, "missed", mark);
    say(`${missed.length} hidden and reported`);
  } catch (error) {
    if (!fixed.includes(missed[0])) marks = missed; // they are not hidden: try again
    render();
    complain(error);
  }
}

async function reportWrong() {
  const box = drawing.under(hidden());
  if (!box) return say("put the square on a blurred area first");
  const found = answer.metadata.annotations.find(({ shape }) => shape === box);
  try {
    await reported(answer.metadata.blurring_id, "wrong_blur", { class: found.semantics[0].value, box });
    wrong = [...wrong, box];
    render();
    say("wrong blur reported");
  } catch (error) {
    complain(error);
  }
}

function mark(class_name, box) {
  choose(class_name);
  if (box) marks = [...marks, { class: class_name, box }];
  render();
}

function choose(class_name) {
  chosen = class_name;
  for (const name of ["face", "license_plate"]) by(name).setAttribute("aria-pressed", String(name === chosen));
}

function another() {
  by("stage").hidden = by("tools").hidden = true;
  by("drop").hidden = false;
  original = answer = null;
  by("picture").removeAttribute("src");
  by("file").value = "";
  by("file").focus();
  say("drop a picture");
}

function outlines() {
  const lined = by("stage").classList.toggle("unlined");
  by("outlines").setAttribute("aria-pressed", String(!lined));
}

const KEYS = {
  f: () => mark("face", drawing.square()),
  p: () => mark("license_plate", drawing.square()),
  w: reportWrong,
  z: () => { marks = marks.slice(0, -1); render(); },
  o: outlines,
  s: () => by("save").click(),
  n: another,
  enter: hide,
  "[": () => drawing.grow(1 / 1.2),
  "]": () => drawing.grow(1.2),
  arrowleft: () => drawing.move(-STEP, 0),
  arrowright: () => drawing.move(STEP, 0),
  arrowup: () => drawing.move(0, -STEP),
  arrowdown: () => drawing.move(0, STEP),
};

addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase();
  const onButton = key === "enter" && event.target.closest("button, a, input");
  if (!original || event.ctrlKey || event.metaKey || event.altKey || onButton || event.target.id === "token") return;
  if (!KEYS[key]) return;
  event.preventDefault();
  KEYS[key]();
});

let from = null;
by("stage").addEventListener("pointerdown", (event) => {
  from = drawing.point(event);
  by("stage").setPointerCapture(event.pointerId);
});
by("stage").addEventListener("pointermove", (event) => {
  const to = drawing.point(event);
  const box = from && drawing.box(from, to);
  if (box) return drawing.place(by("reticle"), box);
  drawing.at = to;
  drawing.show();
});
by("stage").addEventListener("pointerup", (event) => {
  const box = from && drawing.box(from, drawing.point(event));
  from = null;
  if (box) mark(chosen, box);
});

by("face").addEventListener("click", () => choose("face"));
by("license_plate").addEventListener("click", () => choose("license_plate"));
by("wrong").addEventListener("click", reportWrong);
by("undo").addEventListener("click", KEYS.z);
by("outlines").addEventListener("click", outlines);
by("hide").addEventListener("click", hide);
by("another").addEventListener("click", another);
by("file").addEventListener("change", () => take(by("file").files[0]));
by("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(by("token").value);
  by("token").value = "";
  by("ask").hidden = by("problem").hidden = true;
  by("file").focus();
});
addEventListener("dragover", (event) => { event.preventDefault(); by("drop").classList.add("over"); });
addEventListener("dragleave", () => by("drop").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  by("drop").classList.remove("over");
  take(event.dataTransfer.files[0]);
});
addEventListener("resize", render);

token();
health().then((told) => { by("model").textContent = `${told.model}, region ${told.region}`; }).catch(complain);
