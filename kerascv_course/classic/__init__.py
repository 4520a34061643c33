"""What vision looked like before CNNs: bag of visual words, and features thought out by hand.

The classifiers behind them (`SVC`, `KNeighborsClassifier`, LDA) and cross-validation are scikit-learn's.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "bag_of_visual_words": ["BagOfVisualWords"],
        "dense_sift": ["DenseSift"],
        "descriptions": ["Descriptions"],
        "descriptors": ["Daisy", "Sift"],
        "kernels": ["histogram_intersection"],
        "parcels": ["PARCEL_FEATURES", "parcel_features"],
    },
)
