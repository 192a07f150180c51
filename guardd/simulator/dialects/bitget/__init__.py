"""Bitget's classic account, V2 "mix": the protocol of the venue's futures API over the simulated exchange."""
