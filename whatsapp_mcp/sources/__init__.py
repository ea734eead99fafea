"""One reader for each origin beside the gateway; each hands over payloads, and everything after that is the one common way."""
