"""The search space: ranges and choices of a learner and its encoders, and how a request changes them."""
