// One sentence about what is not there, and the command that changes it.
export function render({model}) {
  const root = el("div");
  const draw = () => {
    root.className = model.text ? `sg-notice card ${model.tone}` : "gone";
    fill(root, [model.title, model.text, model.command], () => {
      const parts = [];
      if (model.title) parts.push(el("b", "head", model.title));
      parts.push(el("span", "", model.text));
      if (model.command) parts.push(el("code", "mono", model.command));
      return parts;
    });
  };
  root.setAttribute("role", "status");
  model.on(["title", "text", "command", "tone"], draw);
  draw();
  return root;
}
