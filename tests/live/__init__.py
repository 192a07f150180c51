"""guardd as its users run it: a process of its own against the simulated exchange over loopback."""
