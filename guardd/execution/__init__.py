"""The only code that changes the world: propose, approve, journal, send, verify, resolve.

From a decision to a write, in the order in which the guard calls it. Everything but the executor is pure:

    steps = reconcile(protect, state, bounds, now=now)              # reconcile.py: the protection of one position
    steps = closing_steps(decision, state, bounds, now=now)         # closing.py: Reduce and Close, a slice at a time
    steps = lever_steps(decision, state)                            # levering.py: leverage, margin, top-ups
    steps = cancel_entries(decision, state)                         # entries.py
    steps = sweep(state)                                            # sweep.py: orders of ours that outlived their position
    for proposal in steps.proposals:
        match approve(proposal, state, bounds, leash=leash, now=now, doubts=doubts):      # approve.py
            case ApprovedIntent() as approved: executor.start(approved)                   # executor.py
            case NeedsRead(): ...     # read the positions (deadline 500 ms), then decide anew
            case Refusal(): ...       # tell, unless its kind is in QUIET

At start `awaken` puts the journal's memory into a fresh state, and `executor.resume(state.pending.values())` finds out what became
of each unfinished intent; the pulse calls it again, for tasks that died. `unfinished_reductions` and `finish_fired` give the
decisions that go on by themselves: slices that are left, and rests of stops that fired.
"""
