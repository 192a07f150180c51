"""What exists: the values that every other room speaks in, and the fold of events into state. No I/O, no clock."""
