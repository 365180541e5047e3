"""Recordings of other tools to OTLP trace requests: one module a format, and what they share.

`source` reads files, `otlp` builds requests, `delivery` takes them where they belong.
"""
