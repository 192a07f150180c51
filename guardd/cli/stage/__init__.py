"""The stage on which cases of a policy are played: one account's whole guard, an exchange, a clock moved by hand."""
