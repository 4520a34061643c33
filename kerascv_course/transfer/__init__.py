"""Transfer learning: a pretrained backbone, a new head, and training in stages."""

from kerascv_course.transfer.blocks import Block, blocks, truncate
from kerascv_course.transfer.model import TransferModel
from kerascv_course.transfer.stages import Stage, StageResult, StageResults, fit_stages

__all__ = ["Block", "Stage", "StageResult", "StageResults", "TransferModel", "blocks", "fit_stages", "truncate"]
