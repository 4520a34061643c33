"""What vision looked like before CNNs: bag of visual words, and features thought out by hand.

The classifiers behind them (`SVC`, `KNeighborsClassifier`, LDA) and cross-validation are scikit-learn's.
"""

from kerascv_course.classic.bag_of_visual_words import BagOfVisualWords
from kerascv_course.classic.dense_sift import DenseSift
from kerascv_course.classic.descriptions import Descriptions
from kerascv_course.classic.descriptors import Daisy, Sift
from kerascv_course.classic.kernels import histogram_intersection
from kerascv_course.classic.parcels import PARCEL_FEATURES, parcel_features
from kerascv_course.classic.words import word_patches

__all__ = [
    "PARCEL_FEATURES",
    "BagOfVisualWords",
    "Daisy",
    "DenseSift",
    "Descriptions",
    "Sift",
    "histogram_intersection",
    "parcel_features",
    "word_patches",
]
