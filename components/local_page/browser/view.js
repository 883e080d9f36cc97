// Panes that show the same part of pictures of one size.
//
// hooks.press(point, event): whether a drag that begins there is the caller's and not a move of the view; then
// hooks.drag(point) follows the pointer, within the picture, and hooks.release() ends it.

const LARGEST_ZOOM = 24, LABEL_PX = 24, RETICLE = { smallest: 8, largest: 240 };

export function makeViews(root, changed, hooks = {}) {
  const panes = [...root.querySelectorAll(".pane")];
  const view = { scale: 1, x: 0, y: 0, width: 1, height: 1, cursor: null, square: 44, fitted: true };

  const size = () => panes[0].getBoundingClientRect();
  const fitting = (box) => Math.min(box.width / view.width, box.height / view.height);

  // One above the other where that shows the pictures larger, as with panoramas.
  function arrange() {
    const box = root.getBoundingClientRect();
    if (panes.length === 1) return;
    const beside = fitting({ width: box.width / 2, height: box.height });
    root.classList.toggle("rows", fitting({ width: box.width, height: box.height / 2 }) > beside);
  }

  function show(images, width, height) {
    Object.assign(view, { width, height });
    panes.forEach((pane, i) => {
      pane.querySelector("img")?.remove();
      images[i].width = width;
      images[i].height = height;
      pane.prepend(images[i]);
    });
    arrange();
    fit();
  }

  function fit() {
    const box = size();
    view.scale = fitting(box);
    view.x = (box.width - view.width * view.scale) / 2;
    view.y = (box.height - view.height * view.scale) / 2;
    view.fitted = true;
    draw();
  }

  function zoom(factor, at = view.cursor) {
    const box = size(), least = fitting(box);
    const still = at ?? centre();
    const scale = Math.min(Math.max(view.scale * factor, least), Math.max(LARGEST_ZOOM, least));
    if (scale === least) return fit();
    view.x += still.x * (view.scale - scale);
    view.y += still.y * (view.scale - scale);
    view.scale = scale;
    view.fitted = false;
    hold();
    draw();
  }

  function move(dx, dy) {
    view.x += dx;
    view.y += dy;
    view.fitted = false;
    hold();
    draw();
  }

  // A picture that is larger than its pane fills it; one that is smaller stays in the middle.
  function hold() {
    const box = size();
    for (const [axis, side] of [["x", "width"], ["y", "height"]]) {
      const spare = box[side] - view[side] * view.scale;
      view[axis] = spare > 0 ? spare / 2 : Math.min(0, Math.max(spare, view[axis]));
    }
  }

  function draw() {
    for (const pane of panes) {
      const image = pane.querySelector("img");
      if (image) image.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
    }
    drawReticles();
    changed();
  }

  function drawReticles() {
    for (const pane of panes) {
      const reticle = pane.querySelector(".reticle");
      reticle.hidden = !view.cursor;
      if (!view.cursor) continue;
      place(reticle, view.x + view.cursor.x * view.scale, view.y + view.cursor.y * view.scale, view.square, view.square);
    }
  }

  function place(element, left, top, width, height) {
    Object.assign(element.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
  }

  // Boxes in px of the picture become elements over both panes.
  function overlay(boxes) {
    for (const pane of panes) {
      pane.querySelector(".layer").replaceChildren(...boxes.map(({ x1, y1, x2, y2, names, tag }) => {
        const element = document.createElement("div");
        element.className = names;
        place(element, view.x + x1 * view.scale, view.y + y1 * view.scale, (x2 - x1) * view.scale, (y2 - y1) * view.scale);
        if (tag) element.append(label(tag, view.x + x1 * view.scale, view.y + y1 * view.scale));
        return element;
      }));
    }
  }

  // Above its box; inside of it where the box begins outside of the pane.
  function label(text, left, top) {
    const element = Object.assign(document.createElement("span"), { className: "tag", textContent: text });
    if (left < 0) element.style.left = `${4 - left}px`;
    if (top < LABEL_PX) Object.assign(element.style, { top: `${Math.max(0, -top) + 4}px`, bottom: "auto" });
    return element;
  }

  // The middle of what is shown.
  function centre() {
    const box = size();
    return { x: (box.width / 2 - view.x) / view.scale, y: (box.height / 2 - view.y) / view.scale };
  }

  // The square around a point, in whole px of the picture.
  function square(at = view.cursor) {
    const half = view.square / view.scale / 2, { x, y } = at;
    const low = (value) => Math.max(0, Math.floor(value));
    const x1 = Math.min(low(x - half), view.width - 1), y1 = Math.min(low(y - half), view.height - 1);
    return { x1, y1, x2: Math.max(x1 + 1, Math.min(view.width, Math.ceil(x + half))),
      y2: Math.max(y1 + 1, Math.min(view.height, Math.ceil(y + half))) };
  }

  function resizeSquare(factor) {
    view.square = Math.min(RETICLE.largest, Math.max(RETICLE.smallest, view.square * factor));
    drawReticles();
  }

  function followPointer(pane) {
    let held = null, theirs = false;
    const within = (event) => {
      const box = pane.getBoundingClientRect();
      const between = (value, most) => Math.min(most, Math.max(0, value));
      return { x: between((event.clientX - box.left - view.x) / view.scale, view.width),
        y: between((event.clientY - box.top - view.y) / view.scale, view.height) };
    };
    const at = (event) => {
      const box = pane.getBoundingClientRect();
      const x = (event.clientX - box.left - view.x) / view.scale, y = (event.clientY - box.top - view.y) / view.scale;
      return x >= 0 && y >= 0 && x < view.width && y < view.height ? { x, y } : null;
    };
    pane.addEventListener("pointerdown", (event) => {
      held = { x: event.clientX, y: event.clientY };
      theirs = Boolean(hooks.press?.(within(event), event));
      pane.setPointerCapture(event.pointerId);
    });
    pane.addEventListener("pointermove", (event) => {
      if (held && theirs) hooks.drag(within(event));
      else if (held) {
        pane.classList.add("dragged");
        move(event.clientX - held.x, event.clientY - held.y);
        held = { x: event.clientX, y: event.clientY };
      }
      view.cursor = at(event);
      drawReticles();
      changed();
    });
    for (const end of ["pointerup", "pointercancel"]) {
      pane.addEventListener(end, () => {
        if (theirs) hooks.release();
        held = null;
        theirs = false;
        pane.classList.remove("dragged");
      });
    }
    pane.addEventListener("pointerleave", () => { view.cursor = null; drawReticles(); changed(); });
    pane.addEventListener("wheel", (event) => {
      event.preventDefault();
      view.cursor = at(event);
      zoom(Math.exp(-event.deltaY * 0.0015));
    }, { passive: false });
  }

  panes.forEach(followPointer);
  new ResizeObserver(() => { arrange(); view.fitted ? fit() : (hold(), draw()); }).observe(root);
  return { view, show, fit, zoom, move, overlay, centre, square, resizeSquare };
}
