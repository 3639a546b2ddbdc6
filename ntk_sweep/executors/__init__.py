"""Where chunks of points are computed: in this process, or by workers on Ray.

It imports `tasks`, `store`, `data` and `settings`.
Only the files named `ray` know Ray, and they import it when a sweep on Ray starts.
"""
