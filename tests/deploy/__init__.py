"""What `deploy/` holds, looked at by the real tools.

`test_*.py` is the fast core, a part of every run of the tests. `checks_*.py` boot, build, scan and wait: `python -m tests.deploy`
runs them too, all parts or those that are named (`python -m tests.deploy systemd image`).
"""
