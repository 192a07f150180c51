"""One folder a venue: its protocol over the simulated exchange, plain requests in and answers out."""
