"""The service itself: the guard that folds, assesses, decides and acts, and what keeps it running."""
