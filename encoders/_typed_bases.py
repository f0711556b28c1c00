"""scikit-learn's base classes, with types for the checker: it has none, and of an unknown base any argument passes."""

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:

    class BaseEstimator:
        """Parameters by name."""

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...
        def set_params(self, **params: Any) -> Self: ...
        def __sklearn_tags__(self) -> Any: ...
        def __setstate__(self, state: dict[str, Any]) -> None: ...

    class TransformerMixin:
        """Codes at once, and in the container of choice."""

        def fit_transform(self, X: Any, y: Any = None) -> Any: ...
        def set_output(self, *, transform: str | None = None) -> Self: ...

    class OneToOneFeatureMixin:
        """Names of features that are those of the input."""

        def get_feature_names_out(self, input_features: Any = None) -> Any: ...

    class ClassifierMixin:
        """The accuracy."""

        def score(self, X: Any, y: Any, sample_weight: Any = None) -> float: ...

else:
    from sklearn.base import BaseEstimator, ClassifierMixin, OneToOneFeatureMixin, TransformerMixin

__all__ = ["BaseEstimator", "ClassifierMixin", "OneToOneFeatureMixin", "TransformerMixin"]
