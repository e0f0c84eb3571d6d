// The figures on top of a page: a label, a large value, and what it means in few words.
export function render({model}) {
  const root = el("div", "sg-figures");
  const draw = () => fill(root, model.figures, (figures) => figures.map((figure) => {
    const card = el("section", "card figure");
    const line = el("div", "line");
    line.append(el("b", figure.tone || "", figure.value));
    for (const [text, tone] of figure.notes) line.append(el("span", tone || "muted", text));
    card.append(el("div", "muted", figure.label), line);
    return card;
  }));
  model.on("figures", draw);
  draw();
  return root;
}
