"""The answer of the declared study (docs/study.md), made from its rows."""
