"""An iFax to run: the whole documented API on this machine, for tests and demonstrations."""
