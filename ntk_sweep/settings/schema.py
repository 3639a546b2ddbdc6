"""The settings: dataclasses that are the schema of `conf/`.

Each setting says what it is, which the help page prints, and how its value is checked.
Nothing here imports torch or ray: every mistake in the settings is found before either is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from ntk_sweep.data.labelling import DEFAULT_TARGETS, LABELS, TRUE, Labelling
from ntk_sweep.data.normalisation import NONE, NORMALISATIONS
from ntk_sweep.data.sources import SOURCES
from ntk_sweep.network.activations.registry import ACTIVATIONS
from ntk_sweep.network.architecture import Architecture
from ntk_sweep.network.parametrisations import PARAMETRISATIONS
from ntk_sweep.settings.checks import (
    LARGEST_NULLABLE,
    Check,
    IntegerFrom,
    OneOf,
    Optional,
    not_negative,
    positive,
    proportion,
    relative_error,
    share_of_gpus,
    two_labels,
    two_targets,
)
from ntk_sweep.spectrum.methods import CERTIFIED, EXTREME, METHODS, flint_fault

FLOAT64 = "float64"
DTYPES = (FLOAT64, "float32")
DEVICES = ("auto", "cpu", "cuda")
LEARNING_RATE_UNITS = ("absolute", "inverse_lambda_max", "inverse_max_diagonal")
SGD, FLOW = "sgd", "flow"
OPTIMISERS = (SGD, FLOW)

LEADING_EIGENVALUES = (10, 50, 100, 150)
"""Which of the greatest eigenvalues a row names: the k-th. A choice for the thesis's 200 inputs."""

SETTING_OF = {"activation": "act"}
"""Fields of an architecture that settings, columns and keys call otherwise."""

_ARCHITECTURE = {item.name: SETTING_OF.get(item.name, item.name) for item in fields(Architecture)}


def about(text: str, check: Check | None = None) -> dict[str, Any]:
    """The metadata of a setting.

    Args:
        text: What it is, for the help page; without dollar signs, which Hydra would replace.
        check: What its value must be, beside its type; None if anything will do.
    """
    return {"text": text, "check": check}


@dataclass
class DataConfig:
    """Which labelled inputs the kernel is evaluated on."""

    name: str = field(default="fashion_mnist", metadata=about("the data set", OneOf(SOURCES)))
    root: str | None = field(default=None, metadata=about("folder that holds FashionMNIST/raw"))
    path: str | None = field(
        default=None, metadata=about("file with the arrays x (N, ...) and y (N,)")
    )
    classes: list[int] | None = field(
        default=None,
        metadata=about("the two labels to keep, such as [0,9]", two_labels),
    )
    n_per_class: int | None = field(
        default=None,
        metadata=about(
            "inputs of each class, from the beginning; null takes all", Optional(IntegerFrom(1))
        ),
    )
    labels: str = field(
        default=TRUE,
        metadata=about("the labels as they are, or in a random permutation", OneOf(LABELS)),
    )
    label_noise: float = field(
        default=0.0,
        metadata=about("share of the inputs that are given the other class", proportion),
    )
    label_seed: int = field(
        default=0,
        metadata=about(
            "of random and wrong labels, 0 or more", IntegerFrom(0, most=LARGEST_NULLABLE)
        ),
    )
    targets: list[float] = field(
        default_factory=lambda: list(DEFAULT_TARGETS),
        metadata=about("the values of the two classes, such as [-1,1]", two_targets),
    )
    normalise: str = field(
        default=NONE,
        metadata=about(
            "inputs as they are, over their norms, or less mean over deviation of all values",
            OneOf(NORMALISATIONS),
        ),
    )
    n_test_per_class: int = field(
        default=0,
        metadata=about(
            "test inputs of each class for training, those after the n_per_class ones",
            IntegerFrom(0),
        ),
    )
    test_path: str | None = field(
        default=None, metadata=about("file as of data.path that holds the test inputs")
    )

    def __post_init__(self) -> None:
        # Hydra reads the word true as a truth value, which a text holds as "True".
        if str(self.labels) == str(True):
            self.labels = TRUE

    @property
    def labelling(self) -> Labelling:
        """How labels become targets."""
        first, second = self.targets
        return Labelling(
            self.labels, float(self.label_noise), self.label_seed, (float(first), float(second))
        )

    @property
    def place(self) -> str | None:
        """Where the files of the source lie, if that was set."""
        return self._of(SOURCES[self.name].place)

    @property
    def holds_out(self) -> bool:
        """Whether there are test inputs."""
        return self.n_test_per_class > 0 or self.test_path is not None

    @property
    def arguments(self) -> dict[str, Any]:
        """What `ntk_sweep.data.dataset.load_dataset` takes."""
        return {
            "name": self.name,
            "classes": self.classes,
            "n_per_class": self.n_per_class,
            "place": self.place,
            "labelling": self.labelling,
            "normalise": self.normalise,
            "n_test_per_class": self.n_test_per_class,
            "test_place": self._of(SOURCES[self.name].test_place),
        }

    def _of(self, setting: str | None) -> str | None:
        return getattr(self, setting) if setting else None


@dataclass
class TaskConfig:
    """What is computed for a point; each task has settings of its own."""

    name: str

    reads_test_inputs: ClassVar[bool] = False
    """Whether rows depend on test inputs."""

    @property
    def kernel_method(self) -> str:
        """How the eigenvalues of the kernel at initialisation are computed."""
        return "auto"

    @property
    def fault(self) -> str | None:
        """What is wrong with the settings together; None if nothing is."""
        return None

    def columns(self, n_samples: int) -> dict[str, Any]:
        """The columns that follow from the settings alone; a failed row has them too."""
        return {}


@dataclass
class SpectrumConfig(TaskConfig):
    """The spectrum of the kernel at initialisation."""

    name: str = "spectrum"
    method: str = field(
        default="auto",
        metadata=about(
            "how eigenvalues are computed",
            OneOf((*METHODS, CERTIFIED, EXTREME)),
        ),
    )
    target: float = field(
        default=1e-9, metadata=about("relative error asked of every eigenvalue", relative_error)
    )
    save_kernel: bool = field(
        default=False, metadata=about("true stores the kernel matrix beside the row")
    )
    save_layer_kernels: bool = field(
        default=False, metadata=about("true stores the part of each layer in the kernel")
    )
    save_eigenvectors: bool = field(
        default=False, metadata=about("true stores the eigenvectors of the kernel")
    )

    @property
    def kernel_method(self) -> str:
        """As set."""
        return self.method

    @property
    def fault(self) -> str | None:
        """Eigenvectors of a method that does not compute them, or a library that is missing."""
        if self.method == CERTIFIED and (missing := flint_fault()):
            return f"task.method={CERTIFIED} {missing}"
        if self.save_eigenvectors and self.method == EXTREME:
            return (
                f"task.save_eigenvectors=true needs all eigenvectors, but task.method={EXTREME} "
                "computes the two extreme eigenvalues alone: take task.method=auto or eigh"
            )
        return None


@dataclass
class TrainingConfig(TaskConfig):
    """Training on the squared error, by steps or along the gradient flow, and its predictions.

    The kernel at initialisation makes the predictions. The defaults are the thesis's.
    """

    reads_test_inputs: ClassVar[bool] = True

    name: str = "training"
    optimiser: str = field(
        default=SGD,
        metadata=about(
            "sgd takes steps; flow follows the gradient flow in continuous time", OneOf(OPTIMISERS)
        ),
    )
    centre_outputs: bool = field(
        default=False,
        metadata=about("true trains f less the f before training, which then starts at 0"),
    )
    stop_at_loss: float | None = field(
        default=None,
        metadata=about(
            "loss at which a run ends early; null never does, in flow at 1e-20", Optional(positive)
        ),
    )
    flow_time: float | None = field(
        default=None,
        metadata=about("of flow: time at which it ends; null sets none", Optional(positive)),
    )
    flow_tolerance: float = field(
        default=1e-6, metadata=about("of flow: relative error asked of a step", relative_error)
    )
    learning_rate: float = field(
        default=1e-3, metadata=about("step size, in the unit below", positive)
    )
    learning_rate_unit: str = field(
        default="absolute",
        metadata=about(
            "unit of the learning rate",
            OneOf(LEARNING_RATE_UNITS),
        ),
    )
    batch_size: int | None = field(
        default=1,
        metadata=about(
            "samples a step; null takes all: gradient descent", Optional(IntegerFrom(1))
        ),
    )
    epochs: int = field(default=100, metadata=about("passes through the data", IntegerFrom(1)))
    shuffle: bool = field(
        default=True, metadata=about("whether the order of samples is drawn anew every epoch")
    )
    record_kernel_every: int | None = field(
        default=None,
        metadata=about(
            "after how many epochs the kernel is computed anew; null never does",
            Optional(IntegerFrom(1)),
        ),
    )

    @property
    def is_flow(self) -> bool:
        """Whether the gradient flow is followed, rather than steps taken."""
        return self.optimiser == FLOW

    @property
    def fault(self) -> str | None:
        """A setting of the other optimiser, which nothing would read."""
        unread = OF_SGD if self.is_flow else OF_FLOW
        for item in fields(self):
            if item.name in unread and getattr(self, item.name) != item.default:
                other = SGD if self.is_flow else FLOW
                return (
                    f"task.{item.name}={getattr(self, item.name)} is a setting of "
                    f"task.optimiser={other}, but this is task.optimiser={self.optimiser}"
                )
        return None

    def used_batch_size(self, n_samples: int) -> int:
        """Samples a step, of as many as there are."""
        return min(self.batch_size or n_samples, n_samples)

    def columns(self, n_samples: int) -> dict[str, Any]:
        """How a network is trained; null is what its optimiser does not read."""
        unread = OF_SGD if self.is_flow else OF_FLOW
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values |= {"batch_size": self.used_batch_size(n_samples)} | dict.fromkeys(unread)
        del values["name"]
        return values


SGD_SETTING = ("learning_rate", "learning_rate_unit", "batch_size", "epochs", "shuffle")
"""What decides the steps."""

OF_SGD = (*SGD_SETTING, "record_kernel_every")
OF_FLOW = ("flow_time", "flow_tolerance")
"""What only one optimiser reads."""


@dataclass
class ComputeConfig:
    """Where a multirun is computed, and with what."""

    address: str | None = field(
        default=None,
        metadata=about(
            "Ray cluster to join; auto requires one; null takes RAY_ADDRESS; local is a private one"
        ),
    )
    num_workers: int | None = field(
        default=None,
        metadata=about("workers at once; null for as many as fit", Optional(IntegerFrom(1))),
    )
    num_cpus: float = field(
        default=1, metadata=about("CPU cores, and BLAS threads, of a worker", positive)
    )
    num_gpus: float = field(
        default=0,
        metadata=about("GPUs of a worker; a fraction shares one between workers", share_of_gpus),
    )
    chunk_seconds: float = field(
        default=3, metadata=about("aimed-at time between two reports of a worker", positive)
    )
    time_limit: float | None = field(
        default=None,
        metadata=about(
            "seconds after which a point is given up as failed; null for no limit",
            Optional(positive),
        ),
    )
    fail_fast: bool = field(
        default=False, metadata=about("true ends the sweep with the first point that fails")
    )
    object_store_mb: int = field(
        default=200,
        metadata=about(
            "size of a private Ray's object store, for data and limit kernels",
            IntegerFrom(80, "Ray needs 78 MB at least"),
        ),
    )

    @property
    def num_threads(self) -> int:
        """BLAS threads of a worker, whichever way it runs, since rounding depends on it."""
        return max(int(self.num_cpus), 1)


@dataclass
class SweepConfig:
    """All settings of one point and of the sweep it belongs to."""

    act: str = field(default="relu", metadata=about("activation", OneOf(ACTIVATIONS)))
    width: int = field(
        default=100, metadata=about("width of every hidden layer, 1 or more", IntegerFrom(1))
    )
    depth: int = field(
        default=3,
        metadata=about(
            "number of weight layers, 2 or more",
            IntegerFrom(2, "with fewer than two weight layers the activation would not appear"),
        ),
    )
    seed: int = field(default=0, metadata=about("of the weights, 0 or more", IntegerFrom(0)))
    parametrisation: str = field(
        default="thesis", metadata=about("scaling of the layers", OneOf(PARAMETRISATIONS))
    )
    weight_std: float = field(
        default=1.0, metadata=about("scale of the weights, above 0", positive)
    )
    bias_std: float | None = field(
        default=1.0,
        metadata=about(
            "scale of the biases, 0 or more; null for no biases", Optional(not_negative)
        ),
    )
    dtype: str = field(default="float64", metadata=about("of the network", OneOf(DTYPES)))
    task: TaskConfig = field(
        default_factory=SpectrumConfig, metadata=about("what is computed (group below)")
    )
    data: DataConfig = field(default_factory=DataConfig, metadata=about("data set (group below)"))
    results: str = field(default="results", metadata=about("folder or URI"))
    compute: ComputeConfig = field(
        default_factory=ComputeConfig, metadata=about("where a sweep runs (group below)")
    )
    device: str = field(
        default="auto", metadata=about("where networks are computed", OneOf(DEVICES))
    )
    force: bool = field(default=False, metadata=about("true computes again what is in the store"))
    dry_run: bool = field(
        default=False,
        metadata=about("true says what would be computed, and computes and writes nothing"),
    )

    @property
    def architecture(self) -> Architecture:
        """The network without its weights."""
        return Architecture(
            **{name: getattr(self, setting) for name, setting in _ARCHITECTURE.items()}
        )
