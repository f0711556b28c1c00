"""Gradient noise, drawn from a stateless hash of (seed, step, site, element)."""

from learners._kernels.noise import key, normal
from learners.optim._core import Context, Gradients, Transformation, per_replica, stateless


def gradient_noise() -> Transformation:
    """Independent Gaussian noise on every gradient: u = g + σ ε, ε ~ N(0, 1).

    NOTE: σ is constant; in the source it falls with the step.

    Source: Neelakantan et al. 2015 (arXiv 1511.06807). Hyperparameter: ``gradient_noise`` σ.
    """

    def update(grads: Gradients, context: Context) -> Gradients:
        sigma = context.hyper["gradient_noise"]
        return {
            name: g
            + per_replica(sigma, g) * normal(key(context.seed, context.step, f"grad.{name}"), g.shape).to(g.dtype)
            for name, g in grads.items()
        }

    return stateless(update)
