// The verdict of Compare: one sentence, the figures that carry it, and the settings that differ.
export function render({model}) {
  const root = el("section", "card sg-verdict");
  const draw = () => fill(root, [model.sentence, model.tone, model.facts, model.differs], () => {
    const lead = el("div", "lead");
    lead.append(el("div", "muted", "Verdict"), el("b", model.tone, model.sentence));
    const facts = model.facts.map(({label, parts}) => {
      const fact = el("div", "fact");
      const value = el("div", "value");
      for (const [text, tone] of parts) value.append(el("span", tone, text));
      fact.append(el("div", "muted", label), value);
      return fact;
    });
    const differs = el("div", "differs");
    if (model.differs.length) differs.append(el("span", "muted", "Differs in: "));
    model.differs.forEach(([name, a, b], i) => {
      const part = el("span", "setting");
      part.append(el("b", "", name), el("span", "muted", ` ${a} | ${b}`), i + 1 < model.differs.length ? "," : "");
      differs.append(part);
    });
    return [lead, ...facts, differs];
  });
  root.setAttribute("role", "status");
  model.on(["sentence", "tone", "facts", "differs"], draw);
  draw();
  return root;
}
