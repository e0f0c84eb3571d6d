// Checks of a dataset: a mark, what was looked at, what was found.
const MARKS = {good: "✓", warn: "!", bad: "✕"};
const WORDS = {good: "passed", warn: "look at this", bad: "failed"};

export function render({model}) {
  const root = el("ul", "sg-checks");
  const draw = () => fill(root, model.checks, (checks) => checks.map((check) => {
    const line = el("li");
    const mark = el("span", `mark ${check.tone}`, MARKS[check.tone] ?? "");
    mark.setAttribute("role", "img");
    mark.setAttribute("aria-label", WORDS[check.tone] ?? "");
    const texts = el("span", "texts");
    texts.append(el("b", "", check.title), el("span", "muted", check.detail));
    line.append(mark, texts);
    return line;
  }));
  model.on("checks", draw);
  draw();
  return root;
}
