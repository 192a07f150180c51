"""The stage on which cases of a policy are played: one account's whole guard, a small exchange, and a clock that is moved by hand."""
