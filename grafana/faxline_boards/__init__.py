"""Faxline's dashboards, built with Grafana's SDK; `make dashboards` writes grafana/dashboards from it."""
