"""chainrule: every idea of an introductory deep-learning course as a real, fast, trustworthy tool.

>>> import chainrule as cr
>>> cr.build("mlp", inputs=4, units=3, hidden=(8,))  # doctest: +ELLIPSIS
Sequential(...
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "fit": "chainrule.jobs.fit",
    "load": "chainrule.jobs.run",
    "Run": "chainrule.jobs.run",
    "verify": "chainrule.jobs.verify",
    "explain": "chainrule.jobs.explain",
    "check_gradients": "chainrule.explanations.gradient_check",
    "explore": "chainrule.jobs.explore",
    "lr_range": "chainrule.jobs.lr_range",
    "cross_validate": "chainrule.jobs.cross_validate",
    "compare": "chainrule.jobs.compare_models",
    "tune": "chainrule.jobs.tune",
    "bench": "chainrule.jobs.bench",
    "NeuralClassifier": "chainrule.jobs.estimators",
    "NeuralRegressor": "chainrule.jobs.estimators",
    "PopulationSearchCV": "chainrule.jobs.population_search",
    "build": "chainrule.models",
    "ChainruleError": "chainrule.core.errors",
    "Batches": "chainrule.data.batches",
    "Divided": "chainrule.data.reading",
    "Objective": "chainrule.train.objective",
    "Outcome": "chainrule.train.objective",
    "AutogradStep": "chainrule.train.step",
    "DenseStep": "chainrule.train.dense_step",
    "Task": "chainrule.train.task",
    "Regression": "chainrule.train.task",
    "Binary": "chainrule.train.task",
    "MultiClass": "chainrule.train.task",
    "optimizer": "chainrule.optim.rules",
    "schedule": "chainrule.optim.schedules",
    "updates": "chainrule.train.loop",
    "epochs": "chainrule.train.loop",
}

__all__ = [*_PUBLIC, "__version__"]

if TYPE_CHECKING:
    from chainrule.core.errors import ChainruleError as ChainruleError
    from chainrule.data.batches import Batches as Batches
    from chainrule.data.reading import Divided as Divided
    from chainrule.explanations.gradient_check import check_gradients as check_gradients
    from chainrule.jobs.bench import bench as bench
    from chainrule.jobs.compare_models import compare as compare
    from chainrule.jobs.cross_validate import cross_validate as cross_validate
    from chainrule.jobs.estimators import NeuralClassifier as NeuralClassifier
    from chainrule.jobs.estimators import NeuralRegressor as NeuralRegressor
    from chainrule.jobs.explain import explain as explain
    from chainrule.jobs.explore import explore as explore
    from chainrule.jobs.fit import fit as fit
    from chainrule.jobs.lr_range import lr_range as lr_range
    from chainrule.jobs.population_search import PopulationSearchCV as PopulationSearchCV
    from chainrule.jobs.run import Run as Run
    from chainrule.jobs.run import load as load
    from chainrule.jobs.tune import tune as tune
    from chainrule.jobs.verify import verify as verify
    from chainrule.models import build as build
    from chainrule.optim.rules import optimizer as optimizer
    from chainrule.optim.schedules import schedule as schedule
    from chainrule.train.dense_step import DenseStep as DenseStep
    from chainrule.train.loop import epochs as epochs
    from chainrule.train.loop import updates as updates
    from chainrule.train.objective import Objective as Objective
    from chainrule.train.objective import Outcome as Outcome
    from chainrule.train.step import AutogradStep as AutogradStep
    from chainrule.train.task import Binary as Binary
    from chainrule.train.task import MultiClass as MultiClass
    from chainrule.train.task import Regression as Regression
    from chainrule.train.task import Task as Task


def __getattr__(name: str) -> Any:
    """Import a public name's module on first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
