"""Signal, bias and noise of every sensor by one joint linear-Gaussian state space, and exact draws from its posterior."""
