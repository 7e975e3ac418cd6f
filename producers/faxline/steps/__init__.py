"""The calls to Redis without I/O: generators that yield commands, and the drivers that run them."""
