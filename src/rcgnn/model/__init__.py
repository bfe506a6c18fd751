"""CausalNet: tri-latent encoders and message passing through the graph only."""
