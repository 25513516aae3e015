"""Every image's scores on a set, by metric, region and what was scored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from attrs import Factory, define, frozen
from torch import Tensor, nn

from frx.blind import finds_damage
from frx.build import Use, call, wants
from frx.errors import RecipeError
from frx.loader import Batch
from frx.specs import Tally

REGIONS = ("whole", "damaged", "undamaged")


@frozen(eq=False)
class NamedMetric:
    """A metric as a recipe names it."""

    name: str
    metric: Any

    @classmethod
    def build(
        cls, uses: Iterable[Use], device: torch.device, model: nn.Module | None = None
    ) -> list[NamedMetric]:
        """Make the metrics; one that is a network goes to the device.

        Raises:
            RecipeError: one judges the damage that a network finds, and `model` finds none.
        """
        built = []
        for use in uses:
            metric = use.build()
            if isinstance(metric, nn.Module):
                metric.to(device).eval()
            named = cls(use.name, metric)
            if named.judges_mask and model is not None and not finds_damage(model):
                raise RecipeError(
                    f"metric {use.name}: judges the damage that a network finds itself, and "
                    f"{type(model).__name__} does not look for any; leave it out"
                )
            built.append(named)
        return built

    @property
    def judges_set(self) -> bool:
        """Whether it judges a set as a whole, so that no image has a score of its own."""
        return hasattr(self.metric, "tally")

    @property
    def judges_mask(self) -> bool:
        """Whether it judges the damage that a network found, and not its picture."""
        return not self.judges_set and wants(self.metric, "found")

    @property
    def region_names(self) -> tuple[str, ...]:
        """The parts of a picture that it can be limited to.

        Without a clean picture there is none that is clean outside a region.
        """
        if self.judges_set or self.judges_mask:
            return REGIONS[:1]
        limited = wants(self.metric, "clean") or wants(self.metric, "region")
        return REGIONS if limited else REGIONS[:1]

    def gain(self, before: float, after: float) -> float:
        """How much better `after` is, whichever way the metric counts."""
        return after - before if self.metric.higher_is_better else before - after

    def regions(self, batch: Batch) -> dict[str, Tensor | None]:
        """What to score: the whole picture and, where damage is marked, both its sides."""
        mask = batch["mask"]
        elsewhere = (1 - mask) * mask.amax((1, 2, 3), True)
        parts = {"whole": None, "damaged": mask, "undamaged": elsewhere}
        return {name: parts[name] for name in self.region_names}

    def __call__(
        self, candidate: Mapping[str, Tensor], batch: Batch, region: Tensor | None = None
    ) -> list[float]:
        """One number an image; NaN where the region is empty.

        `candidate` has "restored" [B, 3, H, W] and maybe "found" [B, 1, H, W]. A metric that does
        not ask for a region sees a picture that is clean outside it.

        Raises:
            RecipeError: the metric cannot take these pictures.
        """
        data = {**batch, **candidate}
        if "restored" in data:
            data["restored"] = data["restored"].clamp(0, 1)
        empty = [False] * batch.size
        if region is not None:
            empty = [not inside.any() for inside in region]
            if all(empty):
                return [math.nan] * batch.size
            if wants(self.metric, "region"):
                data["region"] = region
            else:
                data["restored"] = torch.where(region > 0, data["restored"], data["clean"])
        try:
            values: Tensor = call(self.metric, data)
        except ValueError as error:
            raise RecipeError(
                f"metric {self.name}: {error} ({batch.names[0]}); leave it out or change the images"
            ) from error
        if not isinstance(values, Tensor) or values.shape != (batch.size,):
            shape = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise RecipeError(
                f"metric {self.name}: gives {shape} for {batch.size} images; a tensor with one "
                f"number an image, [{batch.size}], is wanted"
            )
        return [
            math.nan if nothing else float(value)
            for nothing, value in zip(empty, values.tolist(), strict=True)
        ]


@define(eq=False)
class SetScores:
    """Every image's scores on one set."""

    images: list[str] = Factory(list)
    values: dict[tuple[str, str, str], list[float]] = Factory(dict)
    swept: dict[tuple[str, float], list[float]] = Factory(dict)  # by metric and mask threshold
    tallies: dict[tuple[str, str], Tally] = Factory(dict)  # by metric and what was scored
    pictures: list[dict[str, Tensor]] = Factory(list)
    bad: dict[str, str] = Factory(dict)
    group_of: Mapping[str, int] | None = None  # an image's, where the data have groups

    def add(
        self,
        batch: Batch,
        candidates: Mapping[str, Mapping[str, Tensor]],
        metrics: Iterable[NamedMetric],
    ) -> None:
        """Score a batch's candidates, such as "input" and "restored", as `NamedMetric` takes them.

        A metric of masks passes by the candidates that have none "found"; those of whole sets are
        left to `tally`.
        """
        self.images += batch.names
        for metric in metrics:
            if metric.judges_set:
                continue
            for region, mask in metric.regions(batch).items():
                for what, candidate in candidates.items():
                    if "found" in candidate or not metric.judges_mask:
                        scores = self.values.setdefault((metric.name, region, what), [])
                        scores.extend(metric(candidate, batch, mask))

    def sweep(
        self, batch: Batch, found: Mapping[float, Tensor], metrics: Iterable[NamedMetric]
    ) -> None:
        """Score the masks that a network finds at several thresholds."""
        for metric in metrics:
            if metric.judges_mask:
                for threshold, mask in found.items():
                    scores = self.swept.setdefault((metric.name, threshold), [])
                    scores.extend(metric({"found": mask}, batch))

    def tally(
        self,
        batch: Batch,
        candidates: Mapping[str, Mapping[str, Tensor]],
        metrics: Iterable[NamedMetric],
    ) -> None:
        """Hand a batch's candidates to the metrics of whole sets, a tally each."""
        for metric in metrics:
            if metric.judges_set:
                for what, candidate in candidates.items():
                    key = (metric.name, what)
                    if key not in self.tallies:
                        self.tallies[key] = metric.metric.tally()
                    self.tallies[key].add(candidate["restored"].clamp(0, 1), batch["clean"])

    @property
    def groups(self) -> list[int] | None:
        """The group of each image, where the data have groups."""
        return None if self.group_of is None else [self.group_of[name] for name in self.images]

    def mean(self, metric: str, region: str, what: str) -> float:
        """The mean over the images that have such a region."""
        return mean(self.values.get((metric, region, what), []))

    def means(self, what: str) -> dict[str, float]:
        """The mean of each metric by region, such as "ssim damaged"; not over what was whole."""
        named = {
            f"{metric} {region}": self.mean(metric, region, what)
            for metric, region, _ in self.values
            if region != "undamaged"
        }
        return {name: mean for name, mean in named.items() if not math.isnan(mean)}


def candidates(batch: Batch, outputs: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """What metrics judge: the input, and what a network made of it."""
    restored = {"restored": outputs["image"]}
    if "found" in outputs:
        restored["found"] = outputs["found"]
    return {"input": {"restored": batch["degraded"]}, "restored": restored}


def mean(values: Iterable[float]) -> float:
    """The mean of the numbers that are not NaN; NaN where there is none."""
    there = [value for value in values if not math.isnan(value)]
    return sum(there) / len(there) if there else math.nan
