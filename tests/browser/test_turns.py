import sys
import threading
from functools import partial

import panel as pn
import pytest
from support.servers import free_port

from segnets.app.turns import Turns

THREADS, ANSWERS = 4, 500


@pytest.fixture
def hasty():
    """Threads give way to each other nearly always, not every 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_no_answer_of_a_thread_is_lost_while_the_page_changes(browser):
    """Bokeh's own way loses some: while a document holds its changes back, it keeps callbacks among them."""
    tabs, came = [], []
    every = threading.Event()

    def page():
        text = pn.pane.Str("0")

        def busy() -> None:
            for number in range(40):
                with pn.io.hold():
                    text.object = str(number % 20)

        pn.state.onload(lambda: pn.state.add_periodic_callback(busy, period=3))
        tabs.append(Turns(pn.state.curdoc))
        return text

    def answer(number: int) -> None:
        came.append(number)
        if len(came) == THREADS * ANSWERS:
            every.set()

    def ask(first: int) -> None:
        for number in range(first, first + ANSWERS):
            tabs[0].take(partial(answer, number))

    server = pn.serve({"page": page}, port=(port := free_port()), show=False, threaded=True)
    opened = browser.new_page()
    try:
        opened.goto(f"http://127.0.0.1:{port}/page")
        opened.get_by_text("19").wait_for()
        threads = [threading.Thread(target=ask, args=(i * ANSWERS,)) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        every.wait(120)
    finally:
        server.stop()
        opened.close()
    assert sorted(came) == list(range(THREADS * ANSWERS))
