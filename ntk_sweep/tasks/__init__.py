"""A point in, a row out: what each task computes, in how much memory, with which limit kernels.

It imports the numerics, `data` and `settings`, but not `store`: a task writes nothing.
`limit_request` and `memory` load no torch, since the driver plans with them.
"""
