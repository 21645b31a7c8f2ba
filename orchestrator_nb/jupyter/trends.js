// The page of trends: performance, quality and checkpoints over the runs of the workflow. Figures are there at once as SVG;
// plotly.js comes from the kernel, once a page, when somebody looks at this one, and then draws them.

const PLOTLY = Symbol.for("orchestrator_nb.plotly");
const TURN = 3000; // milliseconds that a panel leaves to the kernel of another one, before it asks its own
const PATIENCE = 20000; // milliseconds for a kernel to send it, until it is asked once more

// plotly.js for all panels of a page: what the first kernel sends serves all. No panel relies on another one's kernel, which
// may be busy, restarted or gone with its notebook.
class Library {
  constructor() {
    this.asked = 0;
    this.arrived = new Promise((resolve) => { this.arrive = resolve; });
  }

  // Ask the kernel of a panel until somebody has sent it, or that one says that it has none; return what ends the asking.
  from(model) {
    let timer;
    const ask = () => {
      this.asked = Date.now();
      model.send({ do: "plotly" });
      timer = setTimeout(ask, PATIENCE);
    };
    const heard = (message, buffers) => {
      if (message?.is !== "plotly") return;
      end();
      if (buffers?.length) this.load(buffers[0]);
    };
    const end = () => {
      clearTimeout(timer);
      model.off("msg:custom", heard);
    };
    model.on("msg:custom", heard);
    this.arrived.then(end);
    timer = setTimeout(ask, Math.max(0, this.asked + TURN - Date.now()));
    return end;
  }

  load(packed) {
    this.loading ??= loaded(packed).then(this.arrive, (error) => console.warn("plotly is not to be had, pictures stay:", error));
  }
}

// It is a script that puts itself where it finds a place: here it finds that of a module, and the page keeps its own.
async function loaded(packed) {
  const source = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  const module = new Blob(["const module = { exports: {} }; let define, exports = module.exports;\n", source, "\nexport default module.exports;"], { type: "text/javascript" });
  const address = URL.createObjectURL(module);
  try {
    return (await import(/* webpackIgnore: true */ /* @vite-ignore */ address)).default;
  } finally {
    URL.revokeObjectURL(address);
  }
}

class Trends {
  constructor(panel) {
    this.panel = panel;
    this.page = make("div", { class: "onb-trends" });
    this.elements = [this.page];
    this.plots = [];
    this.themes = new MutationObserver(() => this.drawn && this.panel.repaint());
    this.themes.observe(document.body, { attributes: true });
  }

  close() {
    this.themes.disconnect();
    this.ended?.();
    this.forget();
  }

  forget() {
    for (const { box } of this.plots) this.plotly?.purge(box);
    this.plots = [];
  }

  turned() {
    this.asked = this.panel.head.phase;
    this.panel.ask("trends");
  }

  paint() {
    const { head, model } = this.panel;
    if (this.asked !== head.phase && !LIVE.has(head.phase)) this.turned(); // the run has ended, and is one of them now
    const trends = model.get("trends") ?? {};
    const drawn = JSON.stringify(trends.stamp ?? null);
    if (drawn !== this.drawn) {
      this.drawn = drawn;
      this.layOut(trends.chapters);
    }
    this.colour();
  }

  layOut(chapters) {
    this.forget();
    if (!chapters?.length) {
      this.page.replaceChildren(make("p", { class: "onb-none" }, chapters ? "No run of this workflow has ended yet." : "Reading the history …"));
      return;
    }
    this.page.replaceChildren(...chapters.map(({ title, figures }) => make("section", { "aria-label": title }, make("h4", {}, title),
      make("div", { class: "onb-figures" }, ...figures.map((figure) => this.figure(figure))))));
    this.obtain();
  }

  // Until plotly is there, and where there is none, the pictures stay.
  obtain() {
    if (this.ended) return;
    const library = (window[PLOTLY] ??= new Library());
    this.ended = library.from(this.panel.model);
    library.arrived.then((found) => { this.plotly = found; this.panel.repaint(); });
  }

  figure({ title, text: told, svg, spec }) {
    const box = make("div", { class: "onb-plot", role: "img", "aria-label": `${title}: ${told}` });
    box.innerHTML = svg;
    this.plots.push({ box, spec });
    return make("figure", {}, make("figcaption", {}, title), box, make("p", {}, told));
  }

  // Draw what plotly has not drawn yet, and again what it drew in the colours of another theme or in another width.
  colour() {
    if (!this.plotly || !this.plots.length) return;
    const look = getComputedStyle(this.page);
    const [ink, grid] = [look.color, look.borderTopColor];
    for (const plot of this.plots) {
      const wide = plot.box.clientWidth;
      const so = `${ink} ${grid} ${wide}`;
      if (!wide || plot.so === so) continue;
      if (!plot.so) plot.box.replaceChildren();
      plot.so = so;
      this.plotly.react(plot.box, plot.spec.data, this.layout(plot.spec.layout, ink, grid, wide), { displayModeBar: false });
    }
  }

  layout(plain, ink, grid, width) {
    const axes = Object.fromEntries(Object.entries(plain).filter(([name]) => /^[xy]axis/.test(name)).map(([name, axis]) => [name, { ...axis, gridcolor: grid, zerolinecolor: grid }]));
    const height = Math.min(plain.height ?? 260, 260);
    return { ...plain, ...axes, width, height, font: { ...plain.template?.layout?.font, size: 12, color: ink } };
  }
}
