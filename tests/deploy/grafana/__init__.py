"""Dashboards and alerts as Grafana provisions them: made here, checked by its own types."""
