"""The bridge's protocol without any I/O: messages, state tables, and the two cores."""
