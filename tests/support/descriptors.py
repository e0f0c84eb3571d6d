"""Which files this process has open, as /proc says."""

from pathlib import Path


def open_below(folder: Path) -> list[Path]:
    """The open files that lie below a folder, once for each descriptor."""
    links = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            links.append(link.readlink())
        except FileNotFoundError:  # of the listing itself
            continue
    return [link for link in links if link.is_relative_to(folder)]
