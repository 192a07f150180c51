"""Mutation of ourselves: is a mistake in guardd seen by anybody?

bugs      deliberate bugs, each of them a mistake with a name: `python -m tests.mutation.bugs`
caught    one bug in a copy of the tree: what catches it, the simulation or a test
mutants   a seeded sample of every small change that a tool can make to risk, policy and approve: `python -m tests.mutation.mutants`
"""
