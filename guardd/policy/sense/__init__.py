"""Does a policy make sense? Judged by its text alone, and on model positions with the evaluator that the daemon uses."""
