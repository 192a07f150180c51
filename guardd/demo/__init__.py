"""`guardd demo`: a simulated market falls; two equal accounts, one of them guarded. The verdict is the simulator's ledger."""
