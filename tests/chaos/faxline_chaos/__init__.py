"""The proof that nothing is lost and nothing doubled: faults and kills by a seed, and the verdict on them.

`make chaos` and `make fuzz` run it (docs/chaos.md); the tests beside it run short forms with a fixed seed.
"""
