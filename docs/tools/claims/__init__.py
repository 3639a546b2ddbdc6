"""What becomes of the claims of the thesis, made from rows."""
