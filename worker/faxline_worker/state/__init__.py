"""The state in Redis: every transition is one Lua script behind one typed method."""
