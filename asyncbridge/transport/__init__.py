"""Ways for messages and bulk buffers to cross: one contract, several carriers."""
