"""Light and dark: the colours, the style sheets of our components, and how modules are put together.

The colours are CSS variables on the page's root element, so they reach into every shadow root and a
change of theme needs no second render. Fonts are the system's; nothing is fetched from another host.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template

TRIAL_COLORS = (
    "#2f6feb",
    "#e8590c",
    "#9c36b5",
    "#0ca678",
    "#d6336c",
    "#1098ad",
    "#f08c00",
    "#7048e8",
)
"""Colours of ticked trials, the same in table, curves and per-class table."""

LIGHT = {
    "bg": "#f3f5f9",
    "paper": "#ffffff",
    "raised": "#ffffff",
    "line": "#e2e7ef",
    "text": "#151b26",
    "muted": "#5f6b7e",
    "accent": "#2360d8",
    "on-accent": "#ffffff",
    "soft": "#e8f0fe",
    "track": "#e9edf3",
    "idle": "#9fb0cb",
    "good": "#077a57",
    "good-soft": "#def5ea",
    "bad": "#c92a2a",
    "bad-soft": "#fde5e5",
    "warn": "#a15c00",
    "warn-soft": "#fff1d6",
    "bar-good": "#12b886",
    "bar-warn": "#f5a524",
    "bar-bad": "#fa5252",
    "a": "#2360d8",
    "a-strong": "#2360d8",
    "b": "#9c36b5",
    "both": "#f08c00",
    "shadow": "0 1px 2px rgba(16, 24, 40, .05)",
    "pop": "0 8px 28px rgba(16, 24, 40, .18)",
}
DARK = {
    "bg": "#0d1219",
    "paper": "#161c27",
    "raised": "#1f2735",
    "line": "#293243",
    "text": "#eaeef5",
    "muted": "#94a1b7",
    "accent": "#6ea0ff",
    "on-accent": "#0b1220",
    "soft": "#1a2b4d",
    "track": "#252e3e",
    "idle": "#8291ab",
    "good": "#45d6a0",
    "good-soft": "#12362c",
    "bad": "#ff7b7b",
    "bad-soft": "#46191d",
    "warn": "#ffc36b",
    "warn-soft": "#40300f",
    "bar-good": "#45d6a0",
    "bar-warn": "#ffbe5c",
    "bar-bad": "#ff7b7b",
    "a": "#6ea0ff",
    "a-strong": "#2457c5",
    "b": "#d68bec",
    "both": "#f5a524",
    "shadow": "none",
    "pop": "0 8px 28px rgba(0, 0, 0, .55)",
}

FONT = "Roboto, system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'Liberation Sans', sans-serif"
MONO = "ui-monospace, 'SFMono-Regular', Menlo, 'DejaVu Sans Mono', monospace"


def page_css() -> str:
    """The page's own style: our variables for light and dark on the root element, and its ground."""
    themes = "".join(
        f"html.sg-{mode} {{ color-scheme: {mode}; "
        + " ".join(f"--sg-{name}: {value};" for name, value in colors.items())
        + " }\n"
        for mode, colors in (("light", LIGHT), ("dark", DARK))
    )
    # the sheets of Panel and Bokeh colour every component by these
    panel = f"""
html {{ --design-background-color: var(--sg-paper); --design-surface-color: var(--sg-paper);
  --design-background-text-color: var(--sg-text); --design-surface-text-color: var(--sg-text);
  --bokeh-base-font: {FONT}; }}
"""
    ground = f"""
html, body {{ background: var(--sg-bg); color: var(--sg-text); font-family: {FONT}; }}
main {{ overflow-x: hidden; }}
"""
    return themes + panel + ground


def page_template() -> str:
    """The page's markup, for Jinja: the navigation and one column."""
    return (Path(__file__).parent / "page.html").read_text("utf-8")


@cache
def template(name: str) -> "Template":
    """An HTML file that stands beside this one, for Jinja; every value is escaped."""
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("segnets.app", ".")
    return Environment(loader=loader, autoescape=True).get_template(name)


def esm(*names: str) -> str:
    """The module of a component: dom.js, which all share, then the files it needs, its own last."""
    here = Path(__file__).parent
    return "".join((here / f"{name}.js").read_text("utf-8") for name in ("dom", *names))


def css(name: str) -> str:
    """A style sheet that stands beside this file."""
    return (Path(__file__).parent / f"{name}.css").read_text("utf-8")


COMPONENT = f"""
:host {{ font-family: {FONT}; font-size: 13px; line-height: 1.4; color: var(--sg-text); }}
:host > div {{ width: 100%; }}
* {{ box-sizing: border-box; }}
button, select, input {{ font: inherit; color: inherit; }}
button {{ cursor: pointer; }}
button:focus-visible, select:focus-visible, input:focus-visible, [tabindex]:focus-visible {{
  outline: 2px solid var(--sg-accent); outline-offset: 2px; }}
.mono {{ font-family: {MONO}; font-size: .94em; }}
.muted {{ color: var(--sg-muted); }}
.good {{ color: var(--sg-good); }} .bad {{ color: var(--sg-bad); }} .warn {{ color: var(--sg-warn); }}
.swatch {{ display: inline-block; width: 11px; height: 11px; border-radius: 3px; flex: none;
  box-shadow: 0 0 0 1px color-mix(in srgb, var(--sg-text) 22%, transparent); }}
.card {{ background: var(--sg-paper); border: 1px solid var(--sg-line); border-radius: 12px;
  box-shadow: var(--sg-shadow); }}
.track {{ display: block; height: 7px; border-radius: 4px; background: var(--sg-track); overflow: hidden; }}
.track > i {{ display: block; height: 100%; border-radius: 4px; background: var(--sg-accent); }}
.seg {{ display: inline-flex; background: var(--sg-track); border-radius: 9px; padding: 2px; }}
.seg button {{ border: 0; background: none; border-radius: 7px; padding: 4px 11px; color: var(--sg-muted);
  font-weight: 500; white-space: nowrap; }}
.seg button[aria-pressed=true] {{ background: var(--sg-raised); color: var(--sg-text);
  box-shadow: 0 1px 2px rgba(0, 0, 0, .14); }}
input[type=range] {{ accent-color: var(--sg-accent); width: 120px; height: 16px; margin: 0; }}
kbd {{ font: 11px {MONO}; white-space: nowrap; border: 1px solid var(--sg-line); border-radius: 4px; padding: 1px 5px;
  color: var(--sg-muted); background: var(--sg-paper); }}
"""
"""What every component of ours starts from."""

CARD = """
:host { background: var(--sg-paper); border: 1px solid var(--sg-line); border-radius: 12px;
  box-shadow: var(--sg-shadow); padding: 10px 14px 12px; }
"""
"""A Panel column that looks like a card."""

TABLE = f"""
:host {{ --pill: 10px; }}
.tabulator {{ background: transparent !important; border: 0 !important; font-family: {FONT}; font-size: 13px;
  color: var(--sg-text); }}
.tabulator .tabulator-header {{ background: transparent !important; color: var(--sg-muted);
  border-bottom: 1px solid var(--sg-line) !important; font-weight: 400; }}
.tabulator .tabulator-header .tabulator-col {{ background: transparent !important; border: 0;
  color: var(--sg-muted); }}
.tabulator .tabulator-header .tabulator-col .tabulator-col-content {{ padding: 6px !important; }}
.tabulator .tabulator-header .tabulator-col {{ min-width: 24px !important; }}
.tabulator .tabulator-header .tabulator-col .tabulator-col-content .tabulator-col-title {{
  font-weight: 500; font-size: 12px; white-space: nowrap; padding-right: 0 !important; }}
.tabulator .tabulator-header .tabulator-col .tabulator-col-sorter {{ display: none !important; }}
.tabulator .tabulator-header .tabulator-col[aria-sort=ascending] .tabulator-col-title::after {{ content: " ▴"; }}
.tabulator .tabulator-header .tabulator-col[aria-sort=descending] .tabulator-col-title::after {{ content: " ▾"; }}
.tabulator .tabulator-header .tabulator-col[aria-sort=ascending],
.tabulator .tabulator-header .tabulator-col[aria-sort=descending] {{ color: var(--sg-text); }}
.tabulator .tabulator-tableholder, .tabulator .tabulator-tableholder .tabulator-table {{
  background: transparent !important; color: var(--sg-text) !important; }}
.tabulator .tabulator-row, .tabulator .tabulator-row.tabulator-row-even {{
  background: transparent !important; color: var(--sg-text) !important; border: 0;
  border-bottom: 1px solid var(--sg-line) !important; min-height: 29px; cursor: pointer; }}
.tabulator .tabulator-row:hover {{
  background: color-mix(in srgb, var(--sg-soft) 45%, transparent) !important; }}
.tabulator .tabulator-row:has(.mark.on) {{ background: var(--sg-soft) !important; }}
.tabulator .tabulator-row .tabulator-cell {{ border: 0; padding: 5px 6px !important; background: transparent;
  font-size: 13px; line-height: 20px; height: auto; }}
.tabulator .tabulator-footer {{ background: transparent; color: var(--sg-muted); border: 0; }}
.tabulator .tabulator-footer .tabulator-page {{ background: var(--sg-paper); color: var(--sg-text);
  border: 1px solid var(--sg-line); border-radius: 7px; }}
.tabulator .tabulator-footer .tabulator-page.active {{ color: var(--sg-accent); }}
.mark {{ display: inline-block; width: 16px; height: 16px; border-radius: 4px; margin-top: 2px; padding: 0;
  border: 1.5px solid var(--sg-line); cursor: pointer; vertical-align: top; }}
.mark:focus-visible {{ outline: 2px solid var(--sg-accent); outline-offset: 2px; }}
.mark.on {{ border-color: transparent; }}
.who {{ display: flex; gap: 6px; align-items: baseline; min-width: 0; }}
.who b {{ font-weight: 600; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }}
.who span {{ flex: none; font-family: {MONO}; font-size: 12px; color: var(--sg-muted); }}
.score {{ display: flex; align-items: center; gap: 8px; }}
.score i {{ flex: 1; height: 7px; border-radius: 4px; background: var(--sg-track); overflow: hidden; }}
.score i u {{ display: block; height: 100%; border-radius: 4px; }}
.score b {{ font-weight: 650; font-variant-numeric: tabular-nums; }}
.num {{ font-variant-numeric: tabular-nums; }}
.spark {{ display: block; width: 54px; height: 18px; }}
.pill {{ display: inline-block; border-radius: var(--pill); padding: 1px 8px; font-size: 11.5px;
  font-weight: 600; line-height: 17px; background: var(--sg-track); color: var(--sg-muted); }}
.pill.done {{ background: var(--sg-good-soft); color: var(--sg-good); }}
.pill.running {{ background: var(--sg-soft); color: var(--sg-accent); }}
.pill.failed, .pill.diverged {{ background: var(--sg-bad-soft); color: var(--sg-bad); }}
.pill.silent, .pill.stopped, .pill.again {{ background: var(--sg-warn-soft); color: var(--sg-warn); }}
.state {{ display: flex; align-items: center; gap: 6px; min-width: 0; }}
.state .way {{ width: 26px; height: 7px; flex: none; border-radius: 4px; background: var(--sg-track);
  overflow: hidden; }}
.state .way u {{ display: block; height: 100%; background: var(--sg-accent); }}
.state .why {{ color: var(--sg-bad); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }}
.line {{ display: grid; grid-template-columns: 18px minmax(0, 1fr) 68px 62px; gap: 0 8px;
  align-items: center; }}
.line .two {{ min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; line-height: 1.35; }}
.line .two small, .line .end small {{ display: block; color: var(--sg-muted); font-size: 11.5px;
  overflow: hidden; text-overflow: ellipsis; }}
.line .end {{ text-align: right; line-height: 1.35; }} .line .end b {{ font-weight: 650; }}
.line .end .way {{ display: block; height: 6px; border-radius: 4px; background: var(--sg-track);
  overflow: hidden; margin-top: 4px; }}
.line .end .way u {{ display: block; height: 100%; background: var(--sg-accent); }}
"""
"""Tabulator's own theme stays white on dark (Panel 1.9.4), so all of it is coloured here."""
