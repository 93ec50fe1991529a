"""The runner: claims jobs and has their photos changed by providers."""
