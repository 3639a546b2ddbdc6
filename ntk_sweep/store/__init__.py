"""Rows on disk or in an object store: columns, parts, sessions, leases, reading and writing.

It imports `settings` and `errors`.
Readers need no torch, and only the store decides what is done.
"""
