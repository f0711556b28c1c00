"""Momentum, heavy ball and Nesterov's."""

from learners.optim._core import Context, Gradients, State, Transformation, per_replica, zeros_like


def momentum(nesterov: bool = False) -> Transformation:
    """Follow a decaying sum of gradients.

    b ← μ b + g; u = b, or u = g + μ b with Nesterov's look ahead. Unlike the running mean in Adam the sum is not
    divided by anything: a constant gradient grows to g / (1 − μ).

    Source: Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning", in the form of
    PyTorch's SGD. Hyperparameter: ``momentum``.
    """

    def update(grads: Gradients, state: State, context: Context) -> tuple[Gradients, State]:
        updates, after = {}, {}
        for name, g in grads.items():
            mu = per_replica(context.hyper["momentum"], g)
            b = mu * state[f"b.{name}"] + g
            updates[name] = g + mu * b if nesterov else b
            after[f"b.{name}"] = b
        return updates, after

    return Transformation(lambda params: zeros_like(params, "b."), update)
