"""Status page and API: facts in, three operator's words out (interfaces.md section 4)."""
