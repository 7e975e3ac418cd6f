"""`python -m faxline_worker` is `faxline-worker`."""

from faxline_worker.cli import main

main()
