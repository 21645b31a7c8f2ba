// The page on which somebody says what they think of the run, or of what its figures advise.

const STARS = [1, 2, 3, 4, 5];

class Rating {
  constructor(panel) {
    this.panel = panel;
    this.stars = STARS.map((number) => make("label", { title: `${number} of 5` },
      make("input", { type: "radio", name: `${panel.id}-stars`, value: number, "aria-label": `${number} ${number === 1 ? "star" : "stars"}`, onchange: () => this.shine() }), make("span", { "aria-hidden": "true" }, "☆")));
    const field = (name, element) => make("label", { class: "onb-field" }, make("span", {}, name), element);
    this.author = make("input", { type: "text", autocomplete: "off" });
    this.role = make("input", { type: "text", autocomplete: "off", placeholder: "analyst, reviewer …" });
    this.about = make("select", {}, make("option", { value: "" }, "the run"));
    this.note = make("textarea", { rows: 2, placeholder: "what there is to say" });
    this.send = make("button", { type: "submit", class: "onb-main" }, "Rate");
    this.form = make("form", { class: "onb-rating", onsubmit: (event) => { event.preventDefault(); this.rate(); }, "aria-label": "rate this run" },
      make("fieldset", { class: "onb-stars" }, make("legend", {}, "Stars"), ...this.stars),
      make("div", { class: "onb-fields" }, field("Author", this.author), field("Role", this.role), field("About", this.about)),
      field("Note", this.note), make("div", {}, this.send));
    this.list = make("ul", { class: "onb-points", "aria-label": "what was said of this run" });
    this.elements = [this.form, this.list];
  }

  turned() { this.panel.ask("ratings"); }

  chosen() { return Number(this.stars.map((label) => label.firstChild).find((input) => input.checked)?.value ?? 0); }

  shine() {
    const chosen = this.chosen();
    this.stars.forEach((label, place) => text(label.lastChild, place < chosen ? "★" : "☆"));
  }

  rate() {
    const given = { stars: this.chosen() || null, note: this.note.value.trim(), author: this.author.value.trim(), role: this.role.value.trim(), about: this.about.value };
    this.panel.ask("rate", given);
  }

  paint() {
    const found = this.panel.model.get("ratings") ?? {};
    const drawn = JSON.stringify(found);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    attribute(this.author, "placeholder", found.user ?? "");
    const about = this.about.value;
    this.about.replaceChildren(make("option", { value: "" }, "the run"), ...(found.advice ?? []).map(([subject, advice]) => make("option", { value: subject }, `advice: ${advice}`)));
    this.about.value = about;
    // What was said is in the list now, and the form is empty again.
    if (this.given !== undefined && (found.given ?? []).length > this.given) {
      this.form.reset();
      this.shine();
    }
    this.given = (found.given ?? []).length;
    this.list.replaceChildren(...(found.given ?? []).map(({ at, stars, note, author, role, about: subject }) => {
      const shine = stars ? make("span", { class: "onb-shine", role: "img", "aria-label": `${stars} of 5 stars` }, "★".repeat(stars) + "☆".repeat(5 - stars)) : "";
      const who = [author, role].filter(Boolean).join(", ");
      return make("li", {}, make("time", {}, new Date(at * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "short" })), shine, make("span", {}, make("b", {}, who), subject ? make("small", {}, ` about ${subject}`) : "", note ? make("div", {}, note) : ""));
    }));
  }
}
