"""guardd whole, with the exchanges, in one process on a virtual clock: `python -m tests.simulation --seeds 1..100 --hours 1`.

plot        a story before it happens, as values; `draw` draws it from a seed, `policies` its policy
menu        the one table of everything that may go wrong: how it is drawn, and what it excuses
story       plays a plot; `market` its prices, `trader` the owner's hands, `forces` what strikes, `cast` one account
process     one guardd: started, killed at any await, started again on what the disk kept
disk        the journal's worker: a commit that takes its drawn time, and what a crash leaves of it
room, wire  a simulated venue without sockets, and the guard's network to it: late, lost or torn as the weather says
loop        an event loop whose time is a number, and a clock that reads it
checks      the invariants, by the exchanges' truth; `oracle`: what was avoidable, what was called for
shrink      of everything that strikes in a failing story, the little that it takes
regressions seeds that once found something; `ci` plays them, a fixed range and a fresh one
"""
