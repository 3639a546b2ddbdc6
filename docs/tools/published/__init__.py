"""What papers state of the NTK, computed again; `make published` fills docs/published.md."""
