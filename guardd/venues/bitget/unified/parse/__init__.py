"""V3's words made into guardd's: strict, synchronous, Decimal only. Everything malformed is a `PayloadError`."""
