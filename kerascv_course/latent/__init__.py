"""What a network makes of images before it classifies them: features, maps of them, and retrieval by them."""

from kerascv_course.latent.extractor import feature_extractor
from kerascv_course.latent.features import extract_features
from kerascv_course.latent.index import ImageIndex, Neighbours
from kerascv_course.latent.projection import Projection, project

__all__ = ["ImageIndex", "Neighbours", "Projection", "extract_features", "feature_extractor", "project"]
