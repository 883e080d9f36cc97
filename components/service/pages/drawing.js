// Boxes on the picture: screen and picture pixels, and the square that is moved by keys.

export class Drawing {
  constructor(stage, image, marks, reticle) {
    Object.assign(this, { stage, image, marks, reticle });
    this.size = 0.08; // of the picture's shorter side
    this.at = { x: 0.5, y: 0.5 };
  }

  get scale() {
    return this.image.clientWidth / (this.image.naturalWidth || 1);
  }

  point(event) {
    const frame = this.image.getBoundingClientRect();
    return {
      x: Math.min(1, Math.max(0, (event.clientX - frame.left) / frame.width)),
      y: Math.min(1, Math.max(0, (event.clientY - frame.top) / frame.height)),
    };
  }

  // The box between two points, in whole pixels of the picture; nothing if it is only a click.
  box(from, to) {
    const [w, h] = [this.image.naturalWidth, this.image.naturalHeight];
    const [x1, x2] = [from.x * w, to.x * w].sort((a, b) => a - b);
    const [y1, y2] = [from.y * h, to.y * h].sort((a, b) => a - b);
    if ((x2 - x1) * this.scale < 4 || (y2 - y1) * this.scale < 4) return null;
    return [Math.floor(x1), Math.floor(y1), Math.ceil(x2), Math.ceil(y2)];
  }

  square() {
    const [w, h] = [this.image.naturalWidth, this.image.naturalHeight];
    const half = Math.max(2, (this.size * Math.min(w, h)) / 2);
    const [x, y] = [this.at.x * w, this.at.y * h];
    return [Math.max(0, x - half), Math.max(0, y - half), Math.min(w, x + half), Math.min(h, y + half)].map(Math.round);
  }

  move(dx, dy) {
    this.at.x = Math.min(1, Math.max(0, this.at.x + dx));
    this.at.y = Math.min(1, Math.max(0, this.at.y + dy));
    this.show();
  }

  grow(factor) {
    this.size = Math.min(1, Math.max(0.01, this.size * factor));
    this.show();
  }

  under(boxes) {
    const [x, y] = [this.at.x * this.image.naturalWidth, this.at.y * this.image.naturalHeight];
    return boxes.find(([x1, y1, x2, y2]) => x1 <= x && x < x2 && y1 <= y && y < y2);
  }

  // Every box with its kind: hidden, missed or wrong.
  draw(boxes) {
    this.marks.replaceChildren(...boxes.map(({ box, kind }) => {
      const mark = document.createElement("i");
      mark.className = kind;
      this.place(mark, box);
      return mark;
    }));
  }

  show() {
    this.place(this.reticle, this.square());
  }

  place(element, [x1, y1, x2, y2]) {
    const scale = this.scale;
    element.style.left = `${this.image.offsetLeft + x1 * scale}px`;
    element.style.top = `${this.image.offsetTop + y1 * scale}px`;
    element.style.width = `${(x2 - x1) * scale}px`;
    element.style.height = `${(y2 - y1) * scale}px`;
  }
}
