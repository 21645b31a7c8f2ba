// The pages beside that of commands: what happened, which gates were held, and to what the run can go back.

class Log {
  constructor(panel) {
    this.panel = panel;
    this.list = make("ol", { class: "onb-log", tabindex: 0, "aria-label": "what happened" });
    this.elements = [this.list];
  }

  paint() {
    const { model, head } = this.panel;
    const entries = [];
    for (let part = 0; part < head.logs; part += 1) entries.push(...(model.get(`log_${part}`) ?? []));
    const near = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    for (const [at, who, what] of entries.slice(this.list.children.length))
      this.list.append(make("li", {}, make("time", {}, clock(at)), make("b", { title: who }, who || "the run"), make("span", {}, what)));
    if (near) this.list.scrollTop = this.list.scrollHeight;
  }
}

class Gates {
  constructor(panel) {
    this.panel = panel;
    this.body = make("tbody");
    const heads = ["Verdict", "Of", "Gate", "Found", "Evidence"].map((name) => make("th", { scope: "col" }, name));
    this.elements = [make("div", { class: "onb-scroll", tabindex: 0, role: "region", "aria-label": "gates" },
      make("table", { class: "onb-rows onb-gates" }, make("thead", {}, make("tr", {}, ...heads)), this.body))];
  }

  paint() {
    const { extras, plan } = this.panel;
    const drawn = JSON.stringify(extras.gates);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.body.replaceChildren(...extras.gates.map(([command, name, verdict, blocking, found, evidence]) => {
      const looks = { passed: "succeeded", "not checked": "pending" }[verdict] ?? (blocking ? "failed" : "warns");
      const mark = make("span", { class: "onb-state", "data-state": looks }, drawIcon(plan.icons, looks), make("span", {}, blocking || verdict === "passed" ? verdict : `${verdict}, warns`));
      const where = address(plan, evidence);
      const kept = where ? make("a", { href: where, target: "_blank", rel: "noopener", "aria-label": `evidence of ${name}` }, "evidence") : evidence ? make("span", { title: evidence }, "kept") : "";
      return make("tr", { "data-gate": name }, make("td", {}, mark), make("td", { title: command }, command || "the run"), make("td", { title: name }, make("code", {}, name)), make("td", { class: "onb-last", title: found }, found), make("td", {}, kept));
    }));
  }
}

class Checkpoints {
  constructor(panel) {
    this.panel = panel;
    this.list = make("ul", { class: "onb-points" });
    this.elements = [this.list];
  }

  paint() {
    const { extras, model } = this.panel;
    const drawn = JSON.stringify([extras.checkpoints, model.get("tried")]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const tried = model.get("tried") ?? {};
    const focused = document.activeElement?.dataset?.to;
    this.list.replaceChildren(...(extras.checkpoints ?? []).flatMap(({ to, label, files, at }) => {
      const look = make("button", { type: "button", "data-to": to, "aria-label": `what a rollback to ${label} would change`, onclick: () => this.panel.ask("try", { to }) }, "Go back to it …");
      const told = make("span", {}, make("b", {}, label), make("small", {}, ` ${files} ${files === 1 ? "file" : "files"} changed`));
      const line = make("li", {}, make("time", {}, clock(at)), told, look);
      if (tried.to !== to) return [line];
      const go = make("button", { type: "button", class: "onb-main", onclick: () => this.panel.ask("rollback", { to }) }, "Roll back");
      const leave = make("button", { type: "button", onclick: () => this.panel.ask("leave") }, "Leave it");
      return [line, make("li", { class: "onb-tried" }, make("pre", { tabindex: 0, "aria-label": "what would change" }, tried.text), make("div", {}, go, leave))];
    }));
    if (focused) this.list.querySelector(`[data-to="${focused}"]`)?.focus();
  }
}
