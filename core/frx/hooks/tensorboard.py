"""A run for TensorBoard."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from typing import Any, ClassVar

import tomli_w
from attrs import define, field

from frx import images
from frx.hooks.log import LOG
from frx.run import Run
from frx.specs import hookimpl

FOLDER = "tensorboard"


@define(eq=False)
class TensorBoard:
    """Curves, sample pictures and the recipe for TensorBoard, in `tensorboard/`.

    Every value of the run's log is there as `train/NAME` or `val/NAME`, over the steps of the whole
    run, each network's learning rate, and what other hooks draw after an epoch. Look at them with
    `tensorboard --logdir RUN`.

    Raises:
        ValueError: the package tensorboard is not installed.
    """

    only_watches: ClassVar[bool] = True
    _writer: Any = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise ValueError("needs the package tensorboard; pip install 'frx[tensorboard]'")

    @hookimpl
    def frx_run_start(self, run: Run) -> None:
        """Hide what an interrupted run wrote after its last checkpoint, and go on from there.

        All that was logged before the checkpoint's step is on disk; what belongs to that very step
        is written again.
        """
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run.folder / FOLDER), purge_step=run.step)
        if run.step == 0:
            recipe = tomli_w.dumps(run.recipe.table())
            self._writer.add_text("recipe", f"```toml\n{recipe}```", 0)
        for text in (run.folder / LOG).read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            if line["step"] >= run.step:
                self._add(run, line)
        if run.position.epoch and not run.position.batch:
            self._add_pictures(run)
        self._writer.flush()

    @hookimpl
    def frx_logged(self, run: Run, line: Mapping[str, Any]) -> None:
        """Take a line of the log over."""
        self._add(run, line)
        self._writer.flush()

    @hookimpl(trylast=True)
    def frx_epoch_end(self, run: Run) -> None:
        """Take the epoch's pictures over, once they are drawn."""
        self._add_pictures(run)
        self._writer.flush()

    @hookimpl
    def frx_run_end(self, run: Run) -> None:
        """Close the file."""
        self._writer.close()

    def _add(self, run: Run, line: Mapping[str, Any]) -> None:
        kind, step = line["kind"], line["step"]
        for name, value in line.items():
            if name not in ("kind", "stage", "step", "epoch"):
                self._writer.add_scalar(f"{kind}/{name}", value, step)
        if kind == "train":
            for name, network in run.networks.items():
                rate = network.optimizer.param_groups[0]["lr"]
                self._writer.add_scalar(f"learning rate/{name}", rate, step)

    def _add_pictures(self, run: Run) -> None:
        for name in run.hooks:
            if (path := run.picture(name)).exists():
                self._writer.add_image(name, images.read_rgb(path), run.step, dataformats="HWC")
