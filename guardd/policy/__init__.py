"""What to do about a danger: the policy's language, its conditions, the prices at which they come true, and the decision."""
