"""The driver of a sweep: checks, plan, queue, the loop, progress and signals.

It imports `executors`, `store`, `data`, `settings`, and of `tasks` what loads no torch.
The driver computes nothing: it starts fast and survives its workers.
"""
