"""The only code that changes the world: propose, approve, journal, send, verify, resolve.

From a decision to a write, in the order in which the guard calls it:

    steps = reconcile(protect, state, bounds, now=now)                  # reconcile.py: protection of one position
    steps = closing_steps(decision, state, bounds, now=now)             # closing.py: Reduce and Close
    steps = cancel_entries(decision, state, now=now)                    # entries.py
    steps = sweep(state, now=now)                                       # sweep.py: orders of ours on positions that ended
    for proposal in steps.proposals:
        match approve(proposal, state, bounds, leash=leash, doubts=doubts, now=now):     # approve.py
            case ApprovedIntent() as approved: executor.start(approved)                  # executor.py
            case NeedsRead(): ...       # read the positions (deadline 500 ms), then decide anew
            case Refusal(): ...         # tell; kind CROSS_CHECK: park the account
"""
