"""What a network makes of images before it classifies them: features, computed once."""

from kerascv_course.latent.features import extract_features

__all__ = ["extract_features"]
