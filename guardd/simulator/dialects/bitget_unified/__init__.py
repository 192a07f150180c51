"""Bitget's unified account, API V3, over the simulated exchange."""
