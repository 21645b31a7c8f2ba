// plotly.js comes packed (gzip, base64), at two fifths of its size.
async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

(async () => {
  const packed = document.getElementById("plotly").textContent.trim();
  if (packed && !window.DecompressionStream) {
    document.querySelector("p.lead").textContent += " Figures need a browser of 2023 or later.";
    return;
  }
  if (packed) {
    const script = document.createElement("script");
    script.textContent = await unpacked(packed);
    document.head.append(script);
    script.remove();
  }
  const data = JSON.parse(document.getElementById("data").textContent);
  const [WORKFLOW, STARTED, STATE, SECONDS, TAGS, RETRIES, WASTE, ID] = [0, 1, 2, 3, 4, 5, 6, 7];
  const form = document.getElementById("filters");
  const root = document.documentElement;
  const config = {responsive: true, displaylogo: false, displayModeBar: false};

  for (const figure of Object.values(data.figures)) {
    for (const trace of figure.data) {
      if (trace.runs && !trace.text && /%{text}/.test(trace.hovertemplate || "")) trace.text = trace.runs.map((run) => (run < 0 ? "" : data.runs[run][ID]));
    }
  }

  // ── the theme: what the reader chose here, else what the system says ──
  const system = matchMedia("(prefers-color-scheme: dark)");
  const address = new URLSearchParams(location.search);
  const asked = address.get("theme");
  let chosen = asked === "dark" || asked === "light" ? asked : null;
  const theme = () => chosen || (system.matches ? "dark" : "light");
  const dress = () => { root.dataset.theme = theme(); draw(); };
  document.getElementById("theme").addEventListener("click", () => {
    chosen = theme() === "dark" ? "light" : "dark";
    dress();
  });
  system.addEventListener("change", dress);

  // ── the filters ──
  const value = (name) => (form && form.elements[name] ? form.elements[name].value : "");
  const day = (text, plus) => (text ? new Date(text + "T00:00:00").getTime() / 1000 + plus : null);

  function passes() {
    const workflow = value("workflow"), tag = value("tag");
    const since = day(value("since"), 0), until = day(value("until"), 86400);
    return data.runs.map((run) =>
      (!workflow || run[WORKFLOW] === workflow) && (!tag || run[TAGS].includes(tag)) &&
      (since === null || run[STARTED] >= since) && (until === null || run[STARTED] < until));
  }

  function pick(item, keep, size) {
    if (Array.isArray(item)) return item.length === size ? keep.map((place) => item[place]) : item;
    if (item && typeof item === "object") {
      return Object.fromEntries(Object.entries(item).map(([key, part]) => [key, pick(part, keep, size)]));
    }
    return item;
  }

  function filtered(trace, shown, everything) {
    if (everything) return trace;
    if (!trace.runs) return {...trace};
    const keep = [];
    trace.runs.forEach((run, place) => { if (run < 0 || shown[run]) keep.push(place); });
    return pick(trace, keep, trace.runs.length);
  }

  function draw() {
    const shown = passes(), everything = shown.every(Boolean);
    const style = getComputedStyle(root);
    const ink = style.getPropertyValue("--ink").trim(), line = style.getPropertyValue("--line").trim();
    for (const [name, figure] of Object.entries(data.figures)) {
      const layout = JSON.parse(JSON.stringify(figure.layout));
      layout.template = data.template;
      layout.font = {...(layout.font || {}), color: ink};
      for (const axis of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
        layout[axis].gridcolor = layout[axis].zerolinecolor = line;
      }
      const traces = figure.data.map((trace) => filtered(trace, shown, everything));
      const told = document.getElementById("t-" + name);
      if (told) told.textContent = everything ? figure.text : telling.of(figure, traces);
      Plotly.react("plot-" + name, traces, layout, config);
    }
    tiles(shown);
    for (const row of document.querySelectorAll("tr[data-workflow]")) {
      row.hidden = Boolean(value("workflow")) && row.dataset.workflow !== value("workflow");
    }
    const output = document.getElementById("chosen");
    if (output) {
      const count = shown.filter(Boolean).length;
      output.textContent = everything ? `${count.toLocaleString("en")} runs` :
        `${count.toLocaleString("en")} of ${shown.length.toLocaleString("en")} runs`;
    }
  }

  // ── the tiles ──
  const middle = (values) => (values.length ? telling.median(values) : null);
  const duration = (seconds) => (seconds === null ? "–" : telling.length(seconds));
  function tiles(shown) {
    const place = document.getElementById("tiles");
    if (!place) return;
    const runs = data.runs.filter((_, number) => shown[number]);
    const ended = runs.filter((run) => ["completed", "failed", "error", "stopped"].includes(run[STATE]));
    const good = ended.filter((run) => run[STATE] === "completed");
    const sum = (index) => runs.reduce((total, run) => total + run[index], 0);
    const facts = [
      [runs.length.toLocaleString("en"), "runs"],
      [(runs.length - ended.length).toLocaleString("en"), "not ended"],
      [ended.length ? Math.round(100 * good.length / ended.length) + " %" : "–", "of the ended completed"],
      [duration(middle(good.map((run) => run[SECONDS]))), "a completed run, median"],
      [sum(RETRIES).toLocaleString("en"), "retries"],
      [duration(sum(WASTE)), "in attempts that came to nothing"],
    ];
    place.replaceChildren(...facts.map(([number, label]) => {
      const tile = document.createElement("div"), strong = document.createElement("b"), small = document.createElement("span");
      tile.className = "tile";
      strong.textContent = number;
      small.textContent = label;
      tile.append(strong, small);
      return tile;
    }));
  }

  if (form) {
    for (const name of ["workflow", "tag", "since", "until"]) {
      if (address.get(name) && form.elements[name]) form.elements[name].value = address.get(name);
    }
    form.addEventListener("input", draw);
    form.addEventListener("reset", () => setTimeout(draw));
  }
  dress();
  root.dataset.drawn = "yes";
})();
