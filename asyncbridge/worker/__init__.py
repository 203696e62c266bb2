"""The other process: supervisor, queue, GPU thread, namespace. No client room imports it."""
