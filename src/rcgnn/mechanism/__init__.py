"""The learned system as equations: refitted strengths with intervals, one-step prediction, interventions."""
