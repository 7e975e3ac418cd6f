"""The dispatcher: reads intake, runs the timers, sends the wake-ups."""
