"""Loss terms: pure functions of what the network says, what was read, and the network's graph."""
