// What a person says of one picture, as plain values; every change is a new draft.

export const NAMES = { face: "face", license_plate: "plate" };
const LEAST_PX = 2;

export const blank = (path, sha256) => ({ path, input_sha256: sha256, revision: 0, drawn: [], removed: [] });

export const changed = (draft, change) => ({ ...draft, ...change, revision: draft.revision + 1 });

export const key = (box) => [box.class_name, box.x1, box.y1, box.x2, box.y2].join();
const plain = ({ class_name, x1, y1, x2, y2 }) => ({ class_name, x1, y1, x2, y2 });
const content = (draft) => JSON.stringify([draft.input_sha256, draft.drawn.map(key), draft.removed.map(key)]);

export const same = (a, b) => content(a) === content(b);

// Two windows have changed the same picture: whatever either hides is hidden.
export function joined(mine, theirs) {
  if (mine.input_sha256 !== theirs.input_sha256) return { ...mine, revision: Math.max(mine.revision, theirs.revision) + 1 };
  const known = new Set(mine.drawn.map(key)), visible = new Set(theirs.removed.map(key));
  return {
    ...mine, revision: Math.max(mine.revision, theirs.revision) + 1,
    drawn: [...mine.drawn, ...theirs.drawn.filter((box) => !known.has(key(box)))],
    removed: mine.removed.filter((box) => visible.has(key(box))),
  };
}

// All regions in the order in which Tab goes through them: what was found, then what was drawn.
export function regions(look, draft) {
  const visible = new Set(draft.removed.map(key));
  const found = look.found.map((box) => ({ ...box, kind: visible.has(key(box)) ? "visible" : "found" }));
  return [...found, ...draft.drawn.map((box) => ({ ...box, kind: "drawn" }))];
}

export const add = (draft, box) => changed(draft, { drawn: [...draft.drawn, plain(box)] });

// What was drawn goes; what was found stays visible, and is hidden again by the same key.
export function remove(draft, look, index) {
  const drawn = index - look.found.length;
  if (drawn >= 0) return changed(draft, { drawn: draft.drawn.filter((_, i) => i !== drawn) });
  const box = plain(look.found[index]);
  const others = draft.removed.filter((one) => key(one) !== key(box));
  return changed(draft, { removed: others.length < draft.removed.length ? others : [...others, box] });
}

// A region with other sides or of another class, within the picture. What was found keeps its place: its change is drawn.
export function altered(draft, look, index, change) {
  const drawn = index - look.found.length;
  if (drawn < 0) return null;
  const box = inside({ ...draft.drawn[drawn], ...change }, look);
  return changed(draft, { drawn: draft.drawn.map((one, i) => (i === drawn ? box : one)) });
}

export function moved(box, look, dx, dy) {
  const x = Math.max(-box.x1, Math.min(look.width - box.x2, dx)), y = Math.max(-box.y1, Math.min(look.height - box.y2, dy));
  return { x1: box.x1 + x, x2: box.x2 + x, y1: box.y1 + y, y2: box.y2 + y };
}

export const resized = (box, dx, dy) => ({
  x2: Math.max(box.x1 + LEAST_PX, box.x2 + dx), y2: Math.max(box.y1 + LEAST_PX, box.y2 + dy),
});

function inside(box, look) {
  return { ...plain(box), x2: Math.min(box.x2, look.width), y2: Math.min(box.y2, look.height) };
}

// The box between two points, in whole px; null where it is only a click.
export function between(from, to, scale) {
  const [left, right] = [from.x, to.x].sort((a, b) => a - b), [top, bottom] = [from.y, to.y].sort((a, b) => a - b);
  if ((right - left) * scale < 4 || (bottom - top) * scale < 4) return null;
  return { x1: Math.floor(left), y1: Math.floor(top), x2: Math.ceil(right), y2: Math.ceil(bottom) };
}

// The smallest region under a point; −1 without one.
export function under(list, point) {
  const extent = (box) => (box.x2 - box.x1) * (box.y2 - box.y1);
  const hit = list.map((box, index) => ({ box, index }))
    .filter(({ box }) => point.x >= box.x1 && point.x < box.x2 && point.y >= box.y1 && point.y < box.y2);
  return hit.sort((a, b) => extent(a.box) - extent(b.box))[0]?.index ?? -1;
}

const says = (box) => {
  const what = NAMES[box.class_name];
  if (box.kind === "drawn") return what;
  return box.kind === "visible" ? `${what}: stays visible` : box.before ? `${what}, found before` : `${what} ${Math.round(box.confidence * 100)} %`;
};

// The boxes to draw; what goes on over the seam of a panorama is drawn on both sides of it.
export function boxes(list, look, selected, growing) {
  const parts = (box) => (box.x2 <= look.width ? [box] : [{ ...box, x2: look.width }, { ...box, x1: 0, x2: box.x2 - look.width }]);
  const shown = list.flatMap((box, i) => parts(box).map((part) => ({
    ...part, names: `region ${box.kind}${i === selected ? " selected" : ""}`, tag: says(box),
  })));
  return growing ? [...shown, { ...growing, names: "region drawn selected", tag: "" }] : shown;
}
