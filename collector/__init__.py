"""Receives OTLP, writes it down, hands it to ClickHouse."""
