// The page of trends: performance, quality and checkpoints over the runs of the workflow. Figures are there at once as SVG;
// plotly.js comes from the kernel, once a page, when somebody looks at this one, and then draws them.

const PLOTLY = Symbol.for("orchestrator_nb.plotly");
const PATIENCE = 20000; // milliseconds for the kernel to send it, until it is asked once more

class Late extends Error {}

function plotly(model) {
  window[PLOTLY] ??= sentBy(model).then(loaded).catch((error) => { delete window[PLOTLY]; throw error; });
  return window[PLOTLY];
}

function sentBy(model) {
  return new Promise((resolve, reject) => {
    const heard = (message, buffers) => {
      if (message?.is !== "plotly") return;
      clearTimeout(late);
      model.off("msg:custom", heard);
      if (buffers?.length) resolve(buffers[0]);
      else reject(new Error(message.why ?? "plotly is not installed"));
    };
    const late = setTimeout(() => { model.off("msg:custom", heard); reject(new Late("the kernel does not answer")); }, PATIENCE);
    model.on("msg:custom", heard);
    model.send({ do: "plotly" });
  });
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

  // A kernel that is busy may answer late, or to a page that was loaded anew meanwhile; without plotly the pictures stay.
  obtain() {
    plotly(this.panel.model).then(
      (found) => { this.plotly = found; this.panel.repaint(); },
      (error) => error instanceof Late && this.page.isConnected && this.obtain(),
    );
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
