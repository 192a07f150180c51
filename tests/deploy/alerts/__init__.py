"""From the alert to whoever is woken: pages, routing, and the whole way live."""
