"""A study of a storage, as pictures of studies take it."""

from typing import NamedTuple

import optuna

from bench.errors import RequestError, one_of
from bench.results import few_of
from bench.tuning.dashboard.study_page import CURVE, value_names
from bench.tuning.storage.open import file_of, open_existing


class PicturedStudy(NamedTuple):
    """A study with the names of its values and of the intermediate values of its trials."""

    study: optuna.Study
    names: list[str]
    curve: str


def pictured_study(url: str, name: str | None = None) -> PicturedStudy:
    """A study of a storage.

    :param name: may be left out where there is one study only.
    :raises RequestError: where the storage cannot be opened, or has no such study, or several.
    """
    storage = open_existing(url, reading=True)
    known = optuna.get_all_study_names(storage)
    if name is None and len(known) != 1:
        raise RequestError(
            f"`study` must name one of the {len(known)} in the storage: {few_of(sorted(known)) or 'none'}."
        )
    if name is not None and name not in known:
        raise RequestError(one_of("study", name, known))
    study = optuna.load_study(study_name=name or known[0], storage=storage)
    return PicturedStudy(study, value_names(study), CURVE)


def pictured_studies(url: str, required: bool = True) -> list[PicturedStudy]:
    """All studies of a storage, by name.

    :param required: whether a missing file is an error, or a storage without studies.
    :raises RequestError: where the storage cannot be opened.
    """
    path = file_of(url)
    if not required and path is not None and not path.exists():
        return []
    storage = open_existing(url, reading=True)
    studies = [optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage)]
    return [
        PicturedStudy(study, value_names(study), CURVE) for study in sorted(studies, key=lambda one: one.study_name)
    ]
