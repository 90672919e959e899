"""Classes or values, found from the target's cells."""

import datetime as dt
from dataclasses import asdict

import numpy as np
import polars as pl
import pytest

from chainrule.core.errors import DataError, SettingError
from chainrule.data.source import Source
from chainrule.data.target import Target, check_rows_of_classes, find_target


def table(values, dtype=None, **others):
    return Source(
        name="t.csv", origin={}, frame=pl.DataFrame({"y": pl.Series(values, dtype=dtype), **others})
    )


def found(values, dtype=None, task=None):
    return find_target(table(values, dtype), ["y"], task)[0]


def refusal(values, dtype=None, task=None):
    with pytest.raises(DataError) as caught:
        found(values, dtype, task)
    return str(caught.value)


def codes(values, target, dtype=None):
    found, known = target.encode(table(values, dtype))
    return [int(c) if k else None for c, k in zip(found, known, strict=True)]


@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        (["a", "b", "a", "b"], "binary", ("a", "b")),
        (["c", "b", "a"] * 2, "multi-class", ("a", "b", "c")),
        ([True, False] * 2, "binary", ("false", "true")),
        (["yes", "no"] * 2, "binary", ("no", "yes")),
        ([0, 1] * 5, "binary", ("0", "1")),
        ([1.0, 0.0, None] * 5, "binary", ("0", "1")),
        (["10", "9"] * 5, "binary", ("9", "10")),
        (["a", "b", None] * 2, "binary", ("a", "b")),
        (["none", "mild", "none", "mild", "NA"], "binary", ("mild", "none")),
        (["0", "1", "none"] * 4, "binary", ("0", "1")),
        ([0.5, 1.5] * 20, "regression", ()),
        (list(range(100)), "regression", ()),
        ([str(i) for i in range(100)], "regression", ()),
        (["1.5", "2.5", "?", "4"], "regression", ()),
    ],
)
def test_inferred(values, kind, classes):
    target = found(values)
    assert (target.kind, target.classes) == (kind, classes)


def test_what_was_inferred_is_said_with_how_to_override():
    assert find_target(table([0, 1] * 5), ["y"], None)[1].notes == (
        "task: classification of 'y', 2 classes: '0', '1' (--task regression takes the numbers as values)",
    )
    assert "--task classification" in find_target(table([0.5, 1.5, 2.5]), ["y"], None)[1].notes[0]
    assert find_target(table(["a", "b"] * 2), ["y"], None)[1].notes == (
        "task: classification of 'y', 2 classes: 'a', 'b'",
    )
    assert "--task" not in find_target(table([0, 1] * 5), ["y"], "classification")[1].notes[0]


def test_the_task_can_be_given():
    assert found([0, 1] * 5, task="regression").kind == "regression"
    assert found([0.5, 1.0] * 5, task="classification").classes == ("0.5", "1")
    with pytest.raises(SettingError, match="--task takes regression or classification; got 'clustering'"):
        found([0, 1] * 5, task="clustering")
    with pytest.raises(SettingError, match="classification takes one target column; got 'y', 'z'"):
        find_target(table([1.0, 2.0], z=[1.0, 2.0]), ["y", "z"], "classification")


@pytest.mark.parametrize("train", [["1", "0"], ["1.0", "0.0"], ["1", "1.00", "0.0", "0."], ["+1", "0"]])
@pytest.mark.parametrize("later", [["1", "0"], ["1.0", "0.00"], [1, 0], [1.0, 0.0]])
def test_numbers_as_classes_have_one_spelling(train, later):
    target = found(train * 4)
    assert target.classes == ("0", "1")
    assert codes(later, target) == [1, 0]


def test_zero_has_no_sign():
    target = found([0.0, -0.0, 1.0] * 4, task="classification")
    assert target.classes == ("0", "1")
    assert codes([-0.0, 0.0], target) == codes(["-0.0", "0"], target) == [0, 0]


def test_zeros_that_matter_stay():
    assert found(["010", "100"] * 4, task="classification").classes == ("010", "100")
    assert found([0.25, 10.5] * 4, task="classification").classes == ("0.25", "10.5")


@pytest.mark.parametrize("train", [["True", "False"], [True, False], ["TRUE", "false"]])
@pytest.mark.parametrize("later", [["True", "False"], [True, False], ["true", "FALSE"]])
def test_truth_values_as_classes_have_one_spelling(train, later):
    assert codes(later, found(train * 3)) == [1, 0]


def test_classes_that_differ_in_case_are_not_merged():
    assert found(["a", "A"] * 3).classes == ("A", "a")


def test_rows_without_a_target_are_unknown():
    assert codes(["a", None, "NA", " b "], Target(kind="binary", names=("y",), classes=("a", "b"))) == [
        0,
        None,
        None,
        1,
    ]
    values, known = Target(kind="regression", names=("y",)).encode(table(["1", "", "2.5"]))
    assert values[known, 0].tolist() == [1, 2.5] and known.tolist() == [True, False, True]


def test_a_class_that_training_never_saw_is_named():
    with pytest.raises(
        DataError, match=r"^t\.csv, row 3: the class 'c' is not among the classes of training \('a', 'b'\)$"
    ):
        Target(kind="binary", names=("y",), classes=("a", "b")).encode(table(["a", None, "c"]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([None, "", "NA"], "t.csv: the target 'y' is missing in every row"),
        ([float("nan")] * 3, "is missing in every row"),
        (["a"] * 5, "t.csv: the target 'y' has one class ('a'); two are needed to tell apart"),
        ([1] * 5, "has one class ('1')"),
        ([f"n{i}" for i in range(2000)], "has 2,000 classes, more than 1,000"),
        ([1.5, 2.5, float("inf")], "t.csv, row 3: the target 'y' is infinite; leave the cell empty"),
        ([0.0, 1.0, 0.0, 1.0, float("-inf")] * 3, "t.csv, row 5: the target 'y' is infinite"),
        (["1.5", "2.5", "1e300"], "row 3: the target 'y' is 1e+300, too large to compute with"),
        ([*map(str, range(100)), "lots"], "t.csv, row 101: the target 'y' must be a number; got 'lots'"),
        (
            [dt.date(2024, 1, 1), dt.date(2024, 1, 2)],
            "the target 'y' holds Date; a target needs numbers or classes",
        ),
        ([[1], [2]], "column 'y' holds List(Int64); a column needs numbers, text, booleans or dates"),
        (["\x1b[31m", "\x1b[31m"], "has one class ('\\x1b[31m')"),
    ],
)
def test_targets_that_cannot_be_learned(values, message):
    assert message in refusal(values)


def test_one_value_is_nothing_to_learn():
    assert "the target 'y' has one value (2.5) in every row" in refusal([2.5, 2.5, None], task="regression")


def test_several_values():
    source = table([1.0, None, 3.0], z=["4", "5", "6"])
    target, said = find_target(source, ["y", "z"], None)
    values, known = target.encode(source)
    assert list(said.notes) == ["task: regression of 'y', 'z'"]
    assert values[known].tolist() == [[1, 4], [3, 6]] and known.tolist() == [True, False, True]


def arrays(targets, **others):
    return Source(
        name="arrays", origin={}, array=np.zeros((len(targets), 2)), targets=np.array(targets), **others
    )


def test_targets_of_arrays():
    target, _ = find_target(arrays([0, 1, 2, 0, 1, 2], class_names=("x", "y", "z")), ["target"], None)
    assert target.classes == ("x", "y", "z")
    assert find_target(arrays(["b", "a", "b", "a"]), ["target"], None)[0].classes == ("a", "b")
    target, _ = find_target(arrays([[1.0, 2.0], [3.0, 4.0]]), ["target"], None)
    assert target.names == ("target 1", "target 2")
    with pytest.raises(DataError, match="arrays holds no targets"):
        find_target(Source(name="arrays", origin={}, array=np.zeros((2, 2))), ["target"], None)


def test_classes_of_a_built_in_order_keep_it():
    source = arrays([1, 0, 1, 0], class_names=("zebra", "ant", "unused"))
    target, _ = find_target(source, ["target"], None)
    assert target.classes == ("zebra", "ant")
    assert target.encode(source)[0].tolist() == [1, 0, 1, 0]


def single(values):
    target = found(values)
    with pytest.raises(DataError) as caught:
        check_rows_of_classes(target, target.encode(table(values))[0], table(values))
    return str(caught.value)


def test_a_class_of_one_row_cannot_both_train_and_test():
    assert single(["a", "a", "b", "b", "c"]) == (
        "t.csv: the target 'y': the class 'c' has one row, which cannot both train and test; add rows, remove them or "
        "merge them with another class; --test 0 --validation 0 trains on all rows"
    )
    assert "the classes 'b', 'c' have one row each" in single(["a", "a", "b", "c"])
    assert "--task regression takes numbers as values" in single(["1", "1", "2", "1"])


def test_numbers_and_words_with_classes_of_one_row_are_said():
    assert single(["low", "high", "22", "low", "high", "7", "7", "low"]) == (
        "t.csv: the target 'y' holds numbers (3 rows, such as '7') and words (5 rows, such as 'low'), so that each text is "
        "a class: the class '22' has one row, which cannot both train and test; mend the words if numbers are meant "
        "(--task regression names the first), merge or remove such classes if classes are, or name another column (--target)"
    )
    assert "'Low' looks like 'low', and --merge-classes" in single(["low", "low", "Low", "7", "7"])


def test_numbers_and_words_that_are_taken_for_classes_are_said():
    _, said = find_target(table(["low", "low", "22", "22"]), ["y"], None)
    assert said.notes[0].endswith(
        "'22', 'low'; it holds numbers (2 rows, '22') and words (2 rows, 'low'): --task regression names the first "
        "word, if numbers are meant"
    )
    told = find_target(table(["low", "low", "22", "22"]), ["y"], "classification")[1]
    assert "it holds" not in told.notes[0]


def test_too_many_classes_among_which_are_words_name_one():
    values = [str(i) for i in range(1200)] + ["low"] * 400
    with pytest.raises(
        DataError, match=r"1,201 classes, .*\(--task regression, and 'low' is none\), or a name or a key"
    ):
        find_target(table(values), ["y"], None)


def test_a_class_of_one_row_that_looks_like_another_is_said_so():
    assert (
        "the class 'Yes ' has one row, which cannot both train and test; 'Yes ' looks like 'Yes', and --merge-classes "
        "merges such classes; or add rows"
    ) in single(["Yes", "Yes", "Yes ", "no", "no"])


ANSWERS = ["Yes"] * 4 + ["Yes "] + ["no"] * 3


def test_classes_that_look_alike_are_asked_about_and_kept_apart():
    target, said = find_target(table(ANSWERS), ["y"], None)
    assert target.classes == ("Yes", "Yes ", "no") and target.spelling == "exact"
    assert codes(["Yes ", "Yes", "no", "", "none"], Target(**{**asdict(target), "classes": target.classes})) == [
        1, 0, 2, None, None,
    ]  # fmt: skip
    assert said.warnings == (
        "classes 'Yes' (4 rows) and 'Yes ' (1 row) look like one: --merge-classes merges them, --no-merge-classes keeps "
        "them apart",
    )
    with pytest.raises(
        DataError, match=r"t\.csv, row 1: the class 'yes' is not among the classes of training"
    ):
        target.encode(table(["yes"]))


def test_classes_that_look_alike_are_merged_or_kept_apart_as_told():
    merged, said = find_target(table(ANSWERS), ["y"], None, merge_classes=True)
    assert (merged.classes, merged.spelling, said.warnings) == (("Yes", "no"), "folded", ())
    assert codes([" YES", "yes ", "No", "NO "], merged) == [0, 0, 1, 1]
    apart, said = find_target(table(ANSWERS), ["y"], None, merge_classes=False)
    assert apart.classes == ("Yes", "Yes ", "no") and said.warnings == ()


def test_stray_spaces_that_keep_nothing_apart_are_stripped():
    target, said = find_target(table([" a", " a", "b ", "b "]), ["y"], None)
    assert (target.classes, target.spelling, said.warnings) == (("a", "b"), "stripped", ())
    assert codes(["a", " b "], target) == [0, 1]


def test_case_keeps_names_apart_without_their_spaces():
    target, said = find_target(table(["Yes"] * 4 + ["yes "] * 3 + ["\ttab"] * 2), ["y"], None)
    assert (target.classes, target.spelling) == (("Yes", "tab", "yes"), "stripped")
    assert codes(["yes ", "yes", "Yes\t", "tab"], target) == [2, 2, 0, 1]
    assert said.warnings[0].startswith("classes 'Yes' (4 rows) and 'yes' (3 rows) look like one")


def test_case_alone_is_asked_about_too():
    target, said = find_target(table(["cat", "Cat", "dog"] * 3), ["y"], None)
    assert target.classes == ("Cat", "cat", "dog") and target.spelling == "stripped"
    assert said.warnings[0].startswith(
        "classes 'Cat' (3 rows) and 'cat' (3 rows) look like one: --merge-classes"
    )


PRICES = ["$1,200", "$950.50", "($20)", "$3", "", "$11,000.25"]


def test_values_as_people_write_them():
    target, said = find_target(table(PRICES), ["y"], None)
    assert target == Target(kind="regression", names=("y",), formats=("$1,234.5",))
    assert said.notes[1] == (
        "the target 'y' is written like '$1,200' and read as 1200; predictions are plain numbers"
    )
    values, known = target.encode(table(PRICES))
    assert values[known, 0].tolist() == [1200, 950.5, -20, 3, 11000.25]
    with pytest.raises(
        DataError, match=r"row 1: the target 'y' must be a number written like '\$1,234.5'; got '3 €'"
    ):
        target.encode(table(["3 €"]))
    assert find_target(table(["1.234,5", "2"] * 9), ["y"], "regression")[0].formats == ("1.234,5",)
    assert find_target(table(["1,234", "2,5"]), ["y"], "regression", decimal=",")[0].formats == ("1234,5",)


@pytest.mark.parametrize("odd", ["none", "cat ", "?", "NaN"])
def test_names_of_folders_are_classes_as_they_stand(odd):
    names = tuple(sorted(["cat", "dog", odd]))
    codes = np.array([0, 1, 2, 2, 1, 0])
    source = Source(
        name="pets",
        origin={},
        array=np.zeros((6, 3, 4, 4), np.uint8),
        targets=codes,
        class_names=names,
        is_pictures=True,
    )
    target, _ = find_target(source, ["class"], None)
    assert target.classes == names
    found, known = target.encode(source)
    assert known.all() and found.tolist() == codes.tolist()
