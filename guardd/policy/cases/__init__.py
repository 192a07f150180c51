"""Cases of a policy: what the market and the venue do on a virtual clock, which decisions must follow, and nothing else.

What a file says is read here (`load`), judged here (`judge`), and made harder here (`probes`, `mutants`). What plays it:
`guardd.cli.stage`. How a file is written: README.md beside this page.
"""
