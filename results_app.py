"""The results app: panel serve results_app.py [--args --store URL]; else $SEGNETS_STORE, else ./store."""

from segnets.app.page import results_page

results_page().servable(title="segnets")
