"""Everything that speaks a venue's dialect, and what the dialects share: the seam, transport, limiter, retry, streams."""
