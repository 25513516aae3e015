"""What each key of a recipe is for, in a few words, as editors show it."""

from __future__ import annotations

from frx.recipe import Compared, Compute, Data, LossTerm, Recipe, Stage

KEYS: dict[type, dict[str, str]] = {
    Recipe: {
        "name": "Names the run folder, runs/NAME: letters, digits, _, . and -, 60 at most.",
        "seed": "All that is drawn in training and damage follows from it.",
        "compute": "How networks are computed; left out, as is best on the device.",
        "data": "What is trained, validated and tested on.",
        "sets": "Further sets to score at the end, whole: [sets.old_photos].",
        "augmentations": "Vary the clean picture in training, before it is damaged.",
        "degradations": "Damage the picture, in this order.",
        "model": "The network that restores.",
        "stages": "Trainings, one after the other.",
        "metrics": "What is scored, at every validation and at the end.",
        "baselines": "Classical methods to compare with at the end.",
        "hooks": "What listens to the run.",
    },
    Compute: {
        "precision": "In which numbers networks compute; auto: bf16 where the hardware is fast.",
        "memory_format": "How pictures and weights lie in memory; channels_last is faster.",
        "compile": "torch.compile: minutes at first, for what may be faster later.",
        "threads": "Threads that compute on the CPU; auto: as many as there are cores.",
        "shard": "Processes of torchrun share the model's weights out (FSDP), for large ones.",
    },
    Data: {
        "split": "Shares of train, val and test, where the data have no such folders; sum 1.",
        "split_seed": "Decides which picture goes where.",
        "groups_file": "Lines NAME GROUP, or a CSV: a group, such as a person, stays in one split.",
        "on_bad": "What an unreadable picture does: it ends the run, or is left out and named.",
        "cache": 'Where decoded pictures of one size are kept; "disk" outlives the run.',
        "workers": "Processes that make batches; auto: none on a CPU, up to 8 beside a GPU.",
    },
    Stage: {
        "name": "What it is called in logs, pictures and patches.",
        "epochs": "How often it goes through all training pictures, at most.",
        "batch_size": "Pictures a batch.",
        "trainer": "How a batch becomes steps.",
        "losses": "What the model makes small: the sum of these terms.",
        "optimizer": "Moves every network that `optimizers` does not name.",
        "optimizers": "Those of single networks: optimizers.discriminator = { … }.",
        "schedule": "How the learning rate moves over the stage.",
        "accumulate": "Batches whose gradients are added up for one step.",
        "clip_norm": "The gradient of a network is shortened to this length.",
        "skip_nonfinite": "How many updates may be left out whose loss or gradient is not finite.",
        "validate_every_epochs": "How often val is scored; always after the last epoch.",
        "start_from": "Which weights of the stage before the model begins with.",
        "validation_share": "The share of train and val together that validates; the rest trains.",
    },
    LossTerm: {
        "name": "Its label in logs and patches; two terms of one loss need it.",
        "on": "Which output of the model it looks at.",
        "target": "Which picture of the batch it compares with: clean, mask, …",
        "weight": "How much it counts.",
        "region": "Over marked damage alone; for losses that ask for `region`.",
        "ring_px": "And so many pixels around the region.",
    },
    Compared: {
        "name": "What it is called in tables and pictures; two of one method need it.",
    },
}

EXTENDS = "A recipe beside this one, or an installed one, which says what this one does not."
PROFILES = "Patches under a name, chosen with --profile NAME: [profiles.quick]."
