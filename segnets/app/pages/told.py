"""What a page with a bar is built in: while there is a sentence to say, it stands in the body's place."""

from typing import Any

import panel as pn

from segnets.app.parts import Bar, Notice
from segnets.app.theme import css


def not_whole(what: str, url: str) -> tuple[str, str, str]:
    """Title, sentence and command where a subject is listed and its tables are not to be had."""
    says = (
        f"{what} is in the list, but its tables are missing or damaged. What is wrong with it says"
    )
    return "Not whole", says, f"python -m segnets.store verify {url}"


class Told:
    """Bar, notice, and a body that is hidden until `tell()` has nothing more to say; `view` is the pane."""

    def __init__(self, bar: Bar, *parts: Any) -> None:
        self._notice = Notice(tone="big", margin=(24, 22))
        self._body = pn.Column(*parts, stylesheets=[css("body")], margin=0, visible=False)
        self.view = pn.Column(bar, self._notice, self._body, margin=0, stylesheets=[css("stack")])

    def tell(self, title: str = "", says: str = "", command: str = "") -> None:
        """Say this in the body's place; without a sentence show the body."""
        self._notice.say(says, title=title, command=command)
        self._body.visible = not says
