"""The HTTP side: takes photos in, waits for them, gives them out."""
