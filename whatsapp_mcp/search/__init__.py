"""Turns text into words that FTS5 can find, and what people type into a query; no database is opened here."""
