"""The fleet: R replicas of one torch learner trained as one batched program. Its face is `learners.fleet`."""
