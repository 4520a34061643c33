"""Transfer learning: a pretrained backbone, a new head, and training in stages."""

from kerascv_course.transfer.blocks import Block, blocks, truncate
from kerascv_course.transfer.model import TransferModel
from kerascv_course.transfer.pretrain import pretrain
from kerascv_course.transfer.records import Stage, StageResult, StageResults
from kerascv_course.transfer.stages import fit_stages
from kerascv_course.transfer.sweep import SweepRow, unfreeze_sweep

__all__ = [
    "Block",
    "Stage",
    "StageResult",
    "StageResults",
    "SweepRow",
    "TransferModel",
    "blocks",
    "fit_stages",
    "pretrain",
    "truncate",
    "unfreeze_sweep",
]
