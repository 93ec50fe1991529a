"""PhotoChanger's core: its words, rows and files. Knows no process and no HTTP."""

__version__ = "0.1.0"
