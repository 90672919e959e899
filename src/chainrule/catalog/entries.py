"""Every name that a user can type, on one page; nothing here is imported until it is asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One name: where it lives and what it is, in one line.

    `number` says what a number after the name means, as in `leaky-relu:0.2`; without it the name takes none. A model
    that is not `is_trainable` is built by hand. `family` is one of FAMILIES, `is_linear` says whether a boundary or a
    fit is a straight line, plane or hyperplane, and `questions` what a classical model answers.
    """

    target: str
    summary: str
    number: str = ""
    is_trainable: bool = True
    family: str = ""
    is_linear: bool | None = None
    questions: tuple[str, ...] = ()


FAMILIES = ("numerical function", "parametric", "instance-based", "symbolic", "aggregation")
CLASSES, VALUES = "classes", "values"


def _classical(target: str, summary: str, family: str, *questions: str, is_linear: bool = False) -> Entry:
    return Entry(
        f"chainrule.models.{target}",
        summary,
        family=family,
        is_linear=is_linear,
        questions=questions or (CLASSES, VALUES),
    )


# fmt: off
MODELS = {
    "perceptron": Entry(
        "chainrule.models.linear:perceptron", "threshold units trained by the perceptron rule", is_linear=True,
    ),
    "linear-regression": Entry(
        "chainrule.models.linear:linear_regression", "one linear unit per value", is_linear=True,
    ),
    "logistic-regression": Entry(
        "chainrule.models.linear:logistic_regression", "one sigmoid unit, two classes", is_linear=True,
    ),
    "softmax-regression": Entry(
        "chainrule.models.linear:softmax_regression", "one linear unit per class, softmax", is_linear=True,
    ),
    "mlp": Entry("chainrule.models.mlp:mlp", "dense hidden layers with any activation per layer", is_linear=False),
    "lenet": Entry(
        "chainrule.models.lenet:lenet", "LeNet-5: two convolutions with pooling, three dense layers", is_linear=False,
    ),
    "mcculloch-pitts": Entry(
        "chainrule.models.logic:mcculloch_pitts", "one unit that counts inputs of 0 and 1; no weights",
        is_trainable=False,
    ),
    "logic-gate": Entry(
        "chainrule.models.logic:logic_gate", "and, or, not, nand, nor, xor from threshold units", is_trainable=False,
    ),
    "truth-table": Entry(
        "chainrule.models.logic:truth_table", "any Boolean function by 2ⁿ hidden threshold units", is_trainable=False,
    ),
}
CLASSICAL = {
    "nearest-neighbours": _classical(
        "neighbours:nearest_neighbours", "the vote, or the mean, of the nearest training rows", "instance-based",
    ),
    "kernel-regression": _classical(
        "smoothing:kernel_regression", "the mean of all training rows, weighted by nearness; few inputs",
        "instance-based", VALUES,
    ),
    "local-regression": _classical(
        "smoothing:local_regression", "a line through the training rows near by; few inputs", "instance-based", VALUES,
    ),
    "naive-bayes": _classical(
        "gaussians:naive_bayes", "a normal distribution per class and input, as if inputs were independent",
        "parametric", CLASSES, is_linear=True,
    ),
    "gaussian-discriminant-analysis": _classical(
        "gaussians:gaussian_discriminant_analysis",
        "a normal distribution per class; with one covariance the boundary is straight", "parametric", CLASSES,
        is_linear=True,
    ),
    "least-squares": _classical(
        "least_squares:least_squares", "linear regression, solved exactly instead of trained", "numerical function",
        VALUES, is_linear=True,
    ),
    "ridge-regression": _classical(
        "least_squares:ridge_regression", "least squares with an L2 penalty; many or correlated inputs",
        "numerical function", VALUES, is_linear=True,
    ),
    "penalised-logistic-regression": _classical(
        "least_squares:penalised_logistic_regression",
        "logistic or softmax regression with an L2 penalty, solved to the optimum", "numerical function", CLASSES,
        is_linear=True,
    ),
    "linear-svm": _classical(
        "support_vectors:linear_svm", "the straight boundary that is farthest from all rows", "numerical function",
        is_linear=True,
    ),
    "kernel-svm": _classical(
        "support_vectors:kernel_svm", "a linear SVM in the space of a kernel: curved boundaries", "numerical function",
    ),
    "decision-tree": _classical(
        "trees:decision_tree", "CART: questions about one input at a time, readable rules", "symbolic",
    ),
    "bagging": _classical(
        "trees:bagging", "trees on rows drawn with replacement, averaged: less variance", "aggregation",
    ),
    "random-forest": _classical(
        "trees:random_forest", "bagging with a draw of inputs at every split; a strong default", "aggregation",
    ),
    "adaboost": _classical("trees:adaboost", "small trees in turn, each on what those before got wrong", "aggregation"),
    "gradient-boosting": _classical(
        "trees:gradient_boosting", "trees in turn, each down the gradient of the loss; tables", "aggregation",
    ),
    "lightgbm": _classical("trees:lightgbm", "gradient boosting by the package lightgbm; large tables", "aggregation"),
}
DATASETS = {
    "digits": Entry("chainrule.data.builtin:digits", "1,797 pictures of handwritten digits, 8 × 8, 10 classes"),
    "iris": Entry("chainrule.data.builtin:iris", "150 flowers, 4 measurements, 3 species"),
    "wine": Entry("chainrule.data.builtin:wine", "178 wines, 13 measurements, 3 growers"),
    "breast-cancer": Entry("chainrule.data.builtin:breast_cancer", "569 tumours, 30 measurements, 2 classes"),
    "diabetes": Entry("chainrule.data.builtin:diabetes", "442 patients, 10 measurements, disease progression"),
    "mnist-5k": Entry("chainrule.data.builtin:mnist_5k", "5,000 pictures of MNIST, 28 × 28, 10 classes"),
}
ACTIVATIONS = {
    "identity": Entry("chainrule.nn.activations:IDENTITY", "z; for values in an output layer"),
    "linear": Entry("chainrule.nn.activations:LINEAR", "c z; c is 1 unless given", number="factor"),
    "step": Entry("chainrule.nn.activations:STEP", "1 where z ≥ 0, else 0; threshold units"),
    "sigmoid": Entry("chainrule.nn.activations:SIGMOID", "1/(1 + e^−z); probabilities of two classes"),
    "tanh": Entry("chainrule.nn.activations:TANH", "zero-centred, from −1 to 1; hidden layers"),
    "softsign": Entry("chainrule.nn.activations:SOFTSIGN", "z/(1 + |z|); as tanh, nearing its bounds slowly"),
    "hard-sigmoid": Entry("chainrule.nn.activations:HARD_SIGMOID", "z/6 + 1/2 within 0 and 1; a cheap sigmoid"),
    "hard-tanh": Entry("chainrule.nn.activations:HARD_TANH", "z within −1 and 1; a cheap tanh"),
    "relu": Entry("chainrule.nn.activations:RELU", "max(0, z); the usual hidden layer"),
    "relu6": Entry("chainrule.nn.activations:RELU6", "z within 0 and 6"),
    "leaky-relu": Entry(
        "chainrule.nn.activations:LEAKY_RELU", "z, or c z where z < 0, c = 0.01 unless given; units that do not die",
        number="slope below 0",
    ),
    "elu": Entry(
        "chainrule.nn.activations:ELU", "z, or c (e^z − 1) where z < 0, c = 1 unless given; means near 0",
        number="scale below 0",
    ),
    "selu": Entry("chainrule.nn.activations:SELU", "elu with the numbers that keep mean 0 and variance 1 in deep nets"),
    "softplus": Entry("chainrule.nn.activations:SOFTPLUS", "log(1 + e^z); a smooth relu, always positive"),
    "gelu": Entry("chainrule.nn.activations:GELU", "z Φ(z); smooth, of transformers"),
    "silu": Entry("chainrule.nn.activations:SILU", "z sigmoid(z), also called swish; smooth"),
    "mish": Entry("chainrule.nn.activations:MISH", "z tanh(softplus(z)); smooth"),
    "hard-swish": Entry("chainrule.nn.activations:HARD_SWISH", "z hard-sigmoid(z); a cheap silu"),
    "softmax": Entry("chainrule.nn.activations:SOFTMAX", "e^zᵢ / Σ e^zⱼ; probabilities of several classes"),
}
INITIALS = {
    "standard": Entry("chainrule.nn.initial:standard", "evenly between ±1/√n_in, as torch.nn has it"),
    "xavier": Entry("chainrule.nn.initial:xavier", "evenly, variance 2/(n_in + n_out); tanh and sigmoid"),
    "xavier-normal": Entry("chainrule.nn.initial:xavier_normal", "normal, variance 2/(n_in + n_out); tanh and sigmoid"),
    "he": Entry("chainrule.nn.initial:he", "normal, variance 2/n_in; relu"),
    "he-uniform": Entry("chainrule.nn.initial:he_uniform", "evenly, variance 2/n_in; relu"),
    "lecun": Entry("chainrule.nn.initial:lecun", "normal, variance 1/n_in; units of slope 1 at 0"),
    "lecun-uniform": Entry("chainrule.nn.initial:lecun_uniform", "evenly, variance 1/n_in; units of slope 1 at 0"),
    "orthogonal": Entry(
        "chainrule.nn.initial:orthogonal", "units at right angles, of one length; deep networks", number="gain",
    ),
    "normal": Entry(
        "chainrule.nn.initial:normal", "normal, one deviation everywhere; 0.01 fades, 1 explodes", number="std",
    ),
    "constant": Entry("chainrule.nn.initial:constant", "one number everywhere; units stay equal", number="value"),
    "zeros": Entry("chainrule.nn.initial:zeros", "nothing but zeros; hidden layers never learn"),
}
NORMALISATIONS = {
    "batch": Entry("chainrule.nn.normalisation:batch", "each unit over the rows of a batch; deep networks"),
    "layer": Entry("chainrule.nn.normalisation:layer", "the units of a layer over each row; small batches"),
    "instance": Entry("chainrule.nn.normalisation:instance", "each map of each picture by itself; style"),
    "group": Entry(
        "chainrule.nn.normalisation:group", "groups of channels over each row; small batches", number="groups",
    ),
}
LOSSES = {
    "squared-error": Entry("chainrule.nn.losses:SQUARED_ERROR", "mean squared error; values"),
    "half-squared-error": Entry("chainrule.nn.losses:HALF_SQUARED_ERROR", "½ Σ (p − t)²; values, as derived by hand"),
    "absolute-error": Entry("chainrule.nn.losses:ABSOLUTE_ERROR", "mean absolute error; values with outliers"),
    "huber": Entry(
        "chainrule.nn.losses:HUBER",
        "squared up to c deviations, absolute beyond, c = 1 unless given; values with outliers", number="width",
    ),
    "log-cosh": Entry("chainrule.nn.losses:LOG_COSH", "log cosh(p − t), a smooth huber; values with outliers"),
    "binary-cross-entropy": Entry("chainrule.nn.losses:BINARY_CROSS_ENTROPY", "−t log p − (1−t) log(1−p); two classes"),
    "cross-entropy": Entry("chainrule.nn.losses:CROSS_ENTROPY", "−log p of the true class; several classes"),
    "per-class-cross-entropy": Entry(
        "chainrule.nn.losses:PER_CLASS_CROSS_ENTROPY",
        "a binary cross-entropy per class; labels that are not exclusive",
    ),
    "focal": Entry(
        "chainrule.nn.losses:FOCAL",
        "cross-entropy that looks away from easy rows, by (1 − p)^c, c = 2 unless given; classes", number="focus",
    ),
    "perceptron": Entry("chainrule.nn.losses:PERCEPTRON", "distance to the wrong side; gives the perceptron rule"),
    "hinge": Entry("chainrule.nn.losses:HINGE", "distance to a margin of 1, as in support vector machines"),
    "squared-hinge": Entry("chainrule.nn.losses:SQUARED_HINGE", "hinge, squared: smooth at the margin"),
}
OPTIMIZERS = {
    "gradient-descent": Entry(
        "chainrule.optim.rules:GRADIENT_DESCENT", "down the gradient of all training rows at once",
    ),
    "sgd": Entry("chainrule.optim.rules:SGD", "gradient descent on batches; --batch-size 1 is the textbook's"),
    "mini-batch": Entry("chainrule.optim.rules:MINI_BATCH", "another name of sgd"),
    "momentum": Entry("chainrule.optim.rules:MOMENTUM", "gradient descent with momentum 0.9"),
    "nesterov": Entry("chainrule.optim.rules:NESTEROV", "momentum with the look-ahead gradient"),
    "adagrad": Entry("chainrule.optim.rules:ADAGRAD", "rates divided by the root of all squared gradients"),
    "adadelta": Entry("chainrule.optim.rules:ADADELTA", "AdaGrad with a decaying sum and no rate of its own"),
    "rmsprop": Entry("chainrule.optim.rules:RMSPROP", "rates divided by a running root mean square"),
    "adam": Entry("chainrule.optim.rules:ADAM", "momentum and RMSProp, bias-corrected"),
    "adamw": Entry("chainrule.optim.rules:ADAMW", "Adam with decoupled weight decay"),
    "nadam": Entry("chainrule.optim.rules:NADAM", "Adam with Nesterov's look-ahead"),
    "simple-nadam": Entry("chainrule.optim.rules:SIMPLE_NADAM", "Nadam with a constant momentum"),
}
SCHEDULES = {
    "constant": Entry("chainrule.optim.schedules:Constant", "the same rate throughout"),
    "step": Entry(
        "chainrule.optim.schedules:Step",
        "down by drop_factor every drop_epochs; unless given, to a tenth after each third",
    ),
    "exponential": Entry(
        "chainrule.optim.schedules:Exponential", "e^(−decay_rate t) after t epochs; unless given, e^−5 at the end",
    ),
    "cosine": Entry("chainrule.optim.schedules:Cosine", "half a cosine down to zero, after a short warm-up"),
    "linear": Entry("chainrule.optim.schedules:Linear", "straight down to zero, after a short warm-up"),
    "plateau": Entry("chainrule.optim.schedules:Plateau", "÷ 10 whenever the validation loss has stalled"),
}
AUGMENTATIONS = {
    "flip": Entry("chainrule.data.augmentation:flip", "mirrored left to right, every second picture"),
    "flip-vertical": Entry("chainrule.data.augmentation:flip_vertical", "mirrored top to bottom, every second picture"),
    "shift": Entry(
        "chainrule.data.augmentation:shift", "moved by up to a tenth of the side each way", number="largest part",
    ),
    "crop": Entry(
        "chainrule.data.augmentation:crop", "a part of at least 0.8 of the side, enlarged", number="smallest part",
    ),
}
METRICS = {
    "accuracy": Entry("chainrule.train.metrics:ACCURACY", "share of rows answered right; classes"),
    "balanced-accuracy": Entry(
        "chainrule.train.metrics:BALANCED_ACCURACY", "mean of the classes' shares answered right; classes",
    ),
    "precision": Entry(
        "chainrule.train.metrics:PRECISION", "share of the rows answered with a class that are of it; classes",
    ),
    "recall": Entry("chainrule.train.metrics:RECALL", "share of the rows of a class that were found; classes"),
    "f1": Entry("chainrule.train.metrics:F1", "harmonic mean of precision and recall; classes"),
    "auc": Entry("chainrule.train.metrics:AUC", "chance that a row of the class is ranked above another row; classes"),
    "average-precision": Entry(
        "chainrule.train.metrics:AVERAGE_PRECISION", "mean precision over all thresholds; classes",
    ),
    "log-loss": Entry(
        "chainrule.train.metrics:LOG_LOSS", "mean of −log p of the true class, smaller is better; classes",
    ),
    "calibration-error": Entry(
        "chainrule.train.metrics:CALIBRATION_ERROR", "distance of confidence from the share right; classes",
    ),
    "r2": Entry("chainrule.train.metrics:R2", "share of the variation that is explained; values"),
    "mae": Entry("chainrule.train.metrics:MAE", "mean absolute error, smaller is better; values"),
    "rmse": Entry("chainrule.train.metrics:RMSE", "root of the mean squared error, smaller is better; values"),
}
UNSUPERVISED = {
    "k-means": Entry(
        "chainrule.models.unsupervised:K_MEANS", "round clusters, each around its mean", number="most rounds",
    ),
    "mean-shift": Entry(
        "chainrule.models.unsupervised:MEAN_SHIFT", "clusters around the peaks of the density; finds their number",
        number="bandwidth",
    ),
    "spectral-clustering": Entry(
        "chainrule.models.unsupervised:SPECTRAL_CLUSTERING", "clusters of any shape, along chains of near rows",
        number="neighbours",
    ),
    "gaussian-mixture": Entry(
        "chainrule.models.unsupervised:GAUSSIAN_MIXTURE", "density as a sum of Gaussians, which are clusters too",
    ),
    "kernel-density": Entry(
        "chainrule.models.unsupervised:KERNEL_DENSITY", "density as the mean of a small Gaussian at every row",
        number="bandwidth",
    ),
    "pca": Entry("chainrule.models.unsupervised:PCA", "directions at right angles that hold the most variance"),
    "factor-analysis": Entry(
        "chainrule.models.unsupervised:FACTOR_ANALYSIS",
        "few hidden factors that explain what columns share, each with noise of its own",
    ),
}

# networks as TOML that come with the package, in explanations/examples: what `chainrule explain` takes by name
NETWORKS = {
    "toy-network": "2-2-2-2 sigmoid network at the input (1, -1)",
    "toy-network-zero": "the same network at the input (0, 0)",
    "two-hidden-layers": "forward through two hidden layers without activation",
    "relu-error": "one hidden ReLU layer, and the signed error of its answer",
    "weight-nudge": "the same network: what one weight changes when it is nudged",
    "single-neuron": "one sigmoid unit, half the squared error",
    "logistic-or": "logistic regression on the four rows of OR, from zero",
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of name: its entries and the one room that they live in."""

    entries: dict[str, Entry]
    room: str


KINDS = {
    "model": Kind(MODELS, "chainrule.models"),
    "classical-model": Kind(CLASSICAL, "chainrule.models"),
    "dataset": Kind(DATASETS, "chainrule.data"),
    "activation": Kind(ACTIVATIONS, "chainrule.nn"),
    "initial": Kind(INITIALS, "chainrule.nn"),
    "normalisation": Kind(NORMALISATIONS, "chainrule.nn"),
    "loss": Kind(LOSSES, "chainrule.nn"),
    "optimizer": Kind(OPTIMIZERS, "chainrule.optim"),
    "schedule": Kind(SCHEDULES, "chainrule.optim"),
    "metric": Kind(METRICS, "chainrule.train"),
    "augmentation": Kind(AUGMENTATIONS, "chainrule.data"),
    "method": Kind(UNSUPERVISED, "chainrule.models"),
}
