"""What vision looked like before CNNs: bag of visual words, and features thought out by hand.

The classifiers behind them (`SVC`, `KNeighborsClassifier`, LDA) and cross-validation are scikit-learn's.
"""

from kerascv_course.classic.bag_of_visual_words import BagOfVisualWords
from kerascv_course.classic.dense_sift import DenseSift
from kerascv_course.classic.descriptions import Descriptions
from kerascv_course.classic.descriptors import Daisy, Sift
from kerascv_course.classic.kernels import histogram_intersection
from kerascv_course.classic.parcels import ParcelFeatures
from kerascv_course.classic.words import word_patches

__all__ = [
    "BagOfVisualWords",
    "Daisy",
    "DenseSift",
    "Descriptions",
    "ParcelFeatures",
    "Sift",
    "histogram_intersection",
    "word_patches",
]
