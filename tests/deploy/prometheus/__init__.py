"""Rules, by promtool."""
