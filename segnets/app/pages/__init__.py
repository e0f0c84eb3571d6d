"""One file a page of the results app."""
