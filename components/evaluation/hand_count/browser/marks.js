// What a counter says about one picture, as plain values; every change is a new answer.

export const NAMES = {
  face: "missed face", license_plate: "missed plate", wrong_blur: "wrong blur", recognisable: "recognisable",
};
const REACH_SHARE = 0.15, REACH_PX = 4; // what is hidden reaches beyond the box, by the region's dilation

export const blank = (sampleId, path) => ({ sample_id: sampleId, path, revision: 0, counted: false, marks: [], seconds: 0 });

export const changed = (answer, change) => ({ ...answer, ...change, revision: answer.revision + 1 });

// On a panorama an object may go on at the left border.
export function parts(area, width) {
  return area.x2 <= width ? [area] : [{ ...area, x2: width }, { ...area, x1: 0, x2: area.x2 - width }];
}

const inside = (box, point, reach = 0) => {
  const beyond = { x: reach && (box.x2 - box.x1) * reach + REACH_PX, y: reach && (box.y2 - box.y1) * reach + REACH_PX };
  return point.x >= box.x1 - beyond.x && point.x < box.x2 + beyond.x && point.y >= box.y1 - beyond.y && point.y < box.y2 + beyond.y;
};
const extent = (box) => (box.x2 - box.x1) * (box.y2 - box.y1);

// The index of the area under a point, the smallest where several lie over each other; −1 without one.
export function areaUnder(image, point) {
  if (!point) return -1;
  const found = image.areas.map((area, index) => ({ area, index }))
    .filter(({ area }) => parts(area, image.width).some((part) => inside(part, point, REACH_SHARE)));
  return found.sort((a, b) => extent(a.area) - extent(b.area))[0]?.index ?? -1;
}

export const markMissed = (answer, className, box) =>
  changed(answer, { marks: [...answer.marks, { class_name: className, ...box }] });

// Pressed again, the key takes its mark back.
export function markArea(answer, area, what) {
  const before = answer.marks.find((mark) => mark.area === area);
  const others = answer.marks.filter((mark) => mark !== before);
  return changed(answer, { marks: before?.what === what ? others : [...others, { area, what }] });
}

export const undo = (answer) => changed(answer, { marks: answer.marks.slice(0, -1) });

export function unmark(answer, image, point) {
  const under = answer.marks.filter((mark) => !("area" in mark) && inside(mark, point)).sort((a, b) => extent(a) - extent(b))[0];
  const area = areaUnder(image, point);
  const gone = under ?? answer.marks.find((mark) => mark.area === area);
  return gone && changed(answer, { marks: answer.marks.filter((mark) => mark !== gone) });
}

export function tallies(answer) {
  const count = Object.fromEntries(Object.keys(NAMES).map((name) => [name, 0]));
  for (const mark of answer.marks) count[mark.what ?? mark.class_name] += 1;
  return count;
}

// The boxes to draw: areas under the marks.
export function boxes(image, answer, under) {
  const what = new Map(answer.marks.filter((mark) => "area" in mark).map((mark) => [mark.area, mark.what]));
  const areas = image.areas.flatMap((area, i) => parts(area, image.width).map((part) => ({
    ...part, names: `area ${what.get(i) ?? "right"}${i === under ? " under" : ""}`, tag: NAMES[what.get(i)],
  })));
  const missed = answer.marks.filter((mark) => !("area" in mark));
  return [...areas, ...missed.map((mark) => ({ ...mark, names: "miss", tag: NAMES[mark.class_name] }))];
}

const key = (mark) => ("area" in mark ? `${mark.area}` : [mark.class_name, mark.x1, mark.y1, mark.x2, mark.y2].join());

export const same = (a, b) => JSON.stringify([a.counted, a.marks.map(key)]) === JSON.stringify([b.counted, b.marks.map(key)]);

// Two windows have marked the same picture: nothing that either has marked is lost.
export function joined(mine, theirs) {
  const known = new Set(mine.marks.map(key));
  return {
    ...mine, revision: Math.max(mine.revision, theirs.revision) + 1, counted: mine.counted || theirs.counted,
    marks: [...mine.marks, ...theirs.marks.filter((mark) => !known.has(key(mark)))],
  };
}
