"""Facts out: metrics, log, messages to people. Listens, and never answers."""
