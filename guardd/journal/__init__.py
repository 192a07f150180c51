"""What we meant before every send, and what became of it. The venue is the truth; the journal is memory."""
