"""The ensemble part of a script: members with chance of their own, trained one after another, and their common answer."""

from __future__ import annotations

import textwrap

from chainrule.jobs.code_text import Part
from chainrule.jobs.ensembles import BAGGING, DEEP
from chainrule.nn.losses import loss as loss_named
from chainrule.train.recipe import Recipe

WRITTEN_KINDS = (DEEP, BAGGING)  # members are trained apart, and do not depend on each other

MEMBER = '''
class Member:
    """The member that is at work: all chance of its start and its training depends on this seed."""

    seed = SEED
'''
BAG = '''
def bag(train, number):
    """The training rows of a member: as many as there are, drawn with repetition."""
    random = np.random.default_rng(mix(SEED, "bag", number))
    return train[torch.from_numpy(random.integers(0, len(train), len(train)))]
'''
MEMBERS = '''
def members_of(inputs, targets, train{validation}):
    """Train the members, each from a seed of its own."""
    for number in range(MEMBERS):
        print(f"member {{number + 1}} of {{MEMBERS}}")
        Member.seed = mix(SEED, "member", number) if number else SEED
        model = build_model()
        fit(model, inputs, targets, {rows}{validation})
        yield model
'''
ENSEMBLE = '''
class Ensemble(nn.Module):
    """The members as one network: {said}."""

    def __init__(self, members):
        super().__init__()
        self.members = nn.ModuleList(members)
        shares = torch.full((len(self.members),), 1 / len(self.members), dtype=torch.float64)
        self.register_buffer("shares", shares)

    def forward(self, x):
        outputs = torch.stack([member(x) for member in self.members]).double()
{lines}
'''
VOTES = {  # by vote, and kind of task where it matters: what is said, and the lines
    "average": (
        "the average of their values",
        "return (outputs * shares).sum(0).float()",
    ),
    "average binary": (
        "the average of their probabilities, in logarithms",
        """
        second = torch.logsumexp(F.logsigmoid(outputs) + shares.log(), 0)
        first = torch.logsumexp(F.logsigmoid(-outputs) + shares.log(), 0)
        return (second - first).float()
        """,
    ),
    "average multi-class": (
        "the average of their probabilities, in logarithms",
        "return torch.logsumexp(F.log_softmax(outputs, -1) + shares.log(), 0).float()",
    ),
    "majority binary": (
        "the share of votes of each class, with one vote more for both in equal parts",
        """
        votes, members = ((outputs >= 0) * shares).sum(0), len(self.members)
        return torch.logit((votes + 1 / (2 * members)) / (1 + 1 / members)).float()
        """,
    ),
    "majority multi-class": (
        "the share of votes of each class, with one vote more for all in equal parts",
        """
        members, classes = len(self.members), outputs.shape[-1]
        votes = (F.one_hot(outputs.argmax(-1), classes) * shares).sum(0)
        return torch.log((votes + 1 / (members * classes)) / (1 + 1 / members)).float()
        """,
    ),
    "median": (
        "the median of their values",
        "return outputs.sort(0).values[(len(self.members) - 1) // 2].float()",
    ),
}


def of_a_member(part: Part) -> Part:
    """Return a part whose chance is that of the member at work."""
    texts = [text.replace("mix(SEED, ", "mix(Member.seed, ") for text in part.functions]
    texts = [text.replace("depends on SEED", "depends on Member.seed") for text in texts]
    return Part(imports=part.imports, settings=part.settings, functions=texts)


def ensemble_part(recipe: Recipe, validation: str) -> Part:
    """Return what trains the members and puts their answers together. `validation`: further arguments of `fit`."""
    settings, kind = recipe.settings, recipe.schema.target.kind
    part = Part().uses("torch", "torch:nn")
    part.setting("MEMBERS", settings.members)
    bags = settings.ensemble == BAGGING
    if bags:
        part.uses("numpy as np").with_function(BAG)
    rows = "bag(train, number)" if bags else "train"
    part.function(MEMBERS.format(validation=validation, rows=rows))
    decides = settings.loss is not None and loss_named(settings.loss).only_decides
    said, lines = VOTES[_vote(settings.vote or "average", kind, decides=decides)]
    if "F." in lines:
        part.uses("torch.nn.functional as F")
    first = "shares = self.shares.view(-1, 1, 1)\n" * ("shares" in lines)
    body = textwrap.indent(first + textwrap.dedent(lines).strip(), " " * 8)
    part.function(ENSEMBLE.format(said=said, lines=body))
    return part


def _vote(vote: str, kind: str, *, decides: bool) -> str:
    is_plain = vote == "median" or (vote == "average" and (kind == "regression" or decides))
    return vote if is_plain else f"{vote} {kind}"
