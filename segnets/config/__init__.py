"""Every setting, as frozen dataclasses; nothing here imports torch."""
