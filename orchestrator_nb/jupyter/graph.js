// The graph of the workflow: the SVG that Python has drawn, with states, notes and bars as they are now.

class Graph {
  constructor(panel) {
    this.panel = panel;
    this.scale = null;
    this.view = make("div", { class: "onb-view", tabindex: 0, role: "region", "aria-label": "graph of the workflow" });
    this.view.addEventListener("click", (event) => this.picked(event.target.closest("[data-node]")));
    this.view.addEventListener("keydown", (event) => {
      const node = event.target.closest("[data-node]");
      if (node && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); this.picked(node); }
    });
    const zoom = (name, label, change) => make("button", { type: "button", "aria-label": label, onclick: () => { change(); panel.paint(); } }, name);
    this.zoom = make("div", { class: "onb-zoom" },
      zoom("−", "smaller", () => { this.scale = Math.max(0.2, (this.scale ?? this.fit()) * 0.8); }),
      zoom("Fit", "fit the graph to the width", () => { this.scale = null; }),
      zoom("+", "larger", () => { this.scale = Math.min(2, (this.scale ?? this.fit()) * 1.25); }));
    this.element = make("div", { class: "onb-flow" }, this.view, this.zoom);
  }

  picked(node) {
    if (!node) return;
    const name = node.dataset.node;
    if (this.panel.plan.commands.some(([, , , box]) => box === name)) this.panel.commands.unfold(name);
    else this.panel.select(name);
  }

  fit() {
    return Math.max(0.45, Math.min(1, (this.panel.size(this.view)[0] - 14) / this.width));
  }

  draw(plan) {
    this.drawn = plan.svg;
    this.view.innerHTML = plan.svg;
    this.svg = this.view.querySelector("svg.onb-graph");
    this.width = Number(this.svg.getAttribute("width"));
    this.height = Number(this.svg.getAttribute("height"));
    const members = new Map();
    plan.commands.forEach(([name, , seconds, box], place) => {
      const key = box || name;
      if (!members.has(key)) members.set(key, []);
      members.get(key).push([place, seconds]);
    });
    this.nodes = [...this.svg.querySelectorAll("[data-node]")].map((element) => ({
      element, name: element.dataset.node, members: members.get(element.dataset.node) ?? [],
      sign: element.querySelector(".sign"), note: element.querySelector(".note"), title: element.querySelector("title"), bar: element.querySelector(".bar"),
    }));
  }

  paint() {
    const { plan } = this.panel;
    if (this.drawn !== plan.svg) this.draw(plan);
    const scale = this.scale ?? this.fit();
    attribute(this.svg, "width", Math.round(this.width * scale));
    attribute(this.svg, "height", Math.round(this.height * scale));
    // What can be seen as a whole at its own size needs no zoom, and nothing is to lie over it.
    shown(this.zoom, this.scale !== null || scale < 1 || this.height * scale > this.panel.size(this.view)[1]);
    for (const node of this.nodes) if (node.members.length) this.paintNode(node, plan);
  }

  paintNode({ element, name, members, sign, note, title, bar }, plan) {
    const rows = members.map(([place]) => this.panel.row(place));
    const states = rows.map((row) => row[0] ?? "pending");
    const state = LOUD.find((one) => states.includes(one)) ?? states[0];
    const [row] = rows;
    let fraction = 0;
    let told = words(state);
    if (rows.length > 1) {
      const done = states.filter((one) => FINAL.has(one)).length;
      fraction = done / rows.length;
      told = `${done} of ${rows.length} done`;
    } else if (state === "running") {
      fraction = this.panel.fraction(row, members[0][1]) ?? 0;
      told = row[5] ? `cell ${row[4]} of ${row[5]}` : row[6] !== null && row[6] !== undefined ? `${Math.round(100 * row[6])} %` : duration(this.panel.now - row[2]);
    } else if (FINAL.has(state)) {
      fraction = 1;
      if (row[3] !== null && state === "succeeded") told = duration(row[3]);
    }
    if (element.dataset.state !== state) {
      element.dataset.state = state;
      sign?.setAttribute("d", plan.icons[state]);
    }
    const label = `${name}: ${words(state)}${told === words(state) ? "" : `, ${told}`}`;
    attribute(element, "aria-label", label);
    text(title, label);
    if (!note) return;
    text(note, told);
    attribute(bar, "width", (Math.max(0, Number(element.dataset.width) - 8) * Math.min(1, fraction)).toFixed(1));
  }
}
