// What a page says of itself: a word that goes away, and whether all is kept.

const SHOWN_MS = 1600;
let toasted;

export const by = (id) => document.getElementById(id);

export function toast(text) {
  by("toast").textContent = text;
  by("toast").classList.add("shown");
  clearTimeout(toasted);
  toasted = setTimeout(() => by("toast").classList.remove("shown"), SHOWN_MS);
}

export function status(kind, text) {
  by("kept").className = `kept ${kind}`;
  by("kept").textContent = text;
}
