"""A small exchange that pretends to be a venue: an engine with its own sums, and the dialects in which it answers.

`engine.Exchange` is synchronous and knows neither clock nor sockets; `prices` moves it, `ledger` and `truth` tell what
happened. The dialects, faults and the server stand on top of it. Nothing here imports the guard's own reckoning.
"""
