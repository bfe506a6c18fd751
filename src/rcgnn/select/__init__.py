"""How strong, how sure, and what the network adds: evidence beside the screen's, none of it from truth."""
