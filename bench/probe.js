// Runs in every page before its own scripts: notes when an event reaches the page and when the picture has changed.
// It looks after drawings on a canvas that is in the page, so nothing polls and nothing else is slowed.
(() => {
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  const now = () => performance.timeOrigin + performance.now();
  let look = null;
  let began = 0;

  CanvasRenderingContext2D.prototype.drawImage = function (...given) {
    draw.apply(this, given);
    if (this.canvas.isConnected) window.benchProbe.drawn += 1;
    if (look !== null && this.canvas.isConnected) look(this);
  };

  const largest = () =>
    [...document.querySelectorAll('canvas')].sort((a, b) => b.width * b.height - a.width * a.height)[0];

  // With `rarely` it looks once a frame at most: a first picture is drawn in many pieces, and reading pixels back after
  // each of them would take longer than drawing them.
  function whenDrawn(type, seen, rarely = false) {
    began = 0;
    addEventListener(type, () => { began ||= now(); }, { capture: true, once: true });
    return new Promise((resolve) => {
      let waiting = false;
      const judge = (context) => {
        waiting = false;
        if (look === null || began === 0 || !seen(context)) return;
        look = null;
        uncovered(() => resolve({ began, milliseconds: now() - began }));
      };
      look = (context) => {
        if (!rarely) judge(context);
        else if (!waiting) {
          waiting = true;
          requestAnimationFrame(() => judge(context));
        }
      };
    });
  }

  // Our page shows how the start goes over the canvas until there is a desktop: the picture counts once that is away.
  function uncovered(then) {
    const view = document.querySelector('[data-pictured]');
    if (view === null || view.dataset.pictured === 'true') then();
    else requestAnimationFrame(() => uncovered(then));
  }

  // A desktop: wallpaper (many colours or a plain one, but not the empty screen's black) and a panel along the top.
  function isDesktop(context) {
    const { width, height } = context.canvas;
    const small = Object.assign(document.createElement('canvas'), { width: 64, height: 40 }).getContext('2d');
    draw.call(small, context.canvas, 0, 0, width, height, 0, 0, 64, 40);
    const pixels = small.getImageData(0, 0, 64, 40).data;
    const colours = new Set();
    for (let at = 0; at < pixels.length; at += 4) colours.add((pixels[at] >> 3 << 10) | (pixels[at + 1] >> 3 << 5) | (pixels[at + 2] >> 3));
    const panel = context.getImageData(0, 12, width, 1).data;
    const below = context.getImageData(0, 60, width, 1).data;
    let differ = 0;
    for (let at = 0; at < panel.length; at += 4) {
      if (Math.abs(panel[at] - below[at]) + Math.abs(panel[at + 1] - below[at + 1]) + Math.abs(panel[at + 2] - below[at + 2]) > 24) differ += 4;
    }
    return colours.size >= 16 && differ > panel.length * 0.6;
  }

  window.benchProbe = {
    drawn: 0,
    // The promise is kept aside: `result` waits for it.
    armPicture() { this.result = whenDrawn('click', isDesktop, true); },
    armChange(type, x, y) {
      const context = largest().getContext('2d');
      const before = context.getImageData(x, y, 1, 1).data;
      this.result = whenDrawn(type, (drawn) => {
        if (drawn.canvas !== context.canvas) return false;
        const after = drawn.getImageData(x, y, 1, 1).data;
        return before[0] !== after[0] || before[1] !== after[1] || before[2] !== after[2];
      });
    },
    colour(x, y) { return [...(largest()?.getContext('2d').getImageData(x, y, 1, 1).data ?? [])].slice(0, 3); },
    size() { const canvas = largest(); return canvas ? [canvas.width, canvas.height] : null; },
    largest,
  };
})();
