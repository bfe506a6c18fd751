"""Training that cannot blow up: guard, balance, schedules, stopping, records; `trainer.train` reads top to bottom."""
