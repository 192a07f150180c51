"""guardd whole, with the exchange, in one process on a virtual clock: `python -m tests.simulation --seeds 1..100 --hours 1`.

loop      an event loop whose time is a number, and a clock that reads it
room      one simulated venue without sockets: its dialect, its pushes, its faults
wire      the guard's network: bytes to a room and back, late, lost or torn as the weather says
disk      the journal's worker: a commit that takes its drawn time, and what a crash leaves of it
process   one guardd: started, killed at any await, started again on the same data directory
story     what happens on one seed: accounts, positions, policies, prices, a trader, faults
checks    the invariants, by the exchange's truth
"""
