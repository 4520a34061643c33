"""Every figure of the courses and every erratum stands on a solved page, and a cell of that page computes it.

A `Fact` names what is shown, and quotes it: `outputs` stand together in the output of one code cell, `text` stands
together in one Markdown cell. White space does not count. A new notebook gets its own list in `FACTS`.
"""

import re
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

PAGES = Path(__file__).parent.parent / "notebooks" / "solutions"


class Fact(NamedTuple):
    """What a page shows: a name, and quotations from an output and from the text."""

    name: str
    outputs: tuple[str, ...] = ()
    text: tuple[str, ...] = ()


FACTS = {
    "01_convolution": [
        Fact("a layer computes a correlation, convolution flips the kernel on both axes",
             ("x(i - m, j - l) is the correlation: False", "x(i - m, j - l) is the convolution: True"),
             ("It is the correlation with the kernel flipped on both axes",)),
        Fact("erratum: the index x(i - m, j - l) is called correlation", (),
             ("**Erratum.** Di Stefano", "$x(i - m, j - l)$ and call it correlation", "correlation has $x(i + m")),
        Fact("3 input maps, two 5x5 filters: 150 + 2 = 152", ("by hand 150 + 2 = 152, Keras 152",),
             (r"K \cdot K \cdot C_{in} \cdot C_{out}",)),
        Fact("8 to 16 channels, 5x5, 32x32", ("3,216 parameters, 16,384 values, 6.55 M FLOPs",)),
        Fact("the same from the model", ("example", "3,216", "16,384", "6,553,600")),
        Fact("output size", ("400 cases: 0 differ from Keras",),
             (r"\left\lfloor \frac{I + 2P - D(K - 1) - 1}{S} \right\rfloor + 1",)),
        Fact("output size of same with a stride, and its padding",
             ("same [2. 4. 6.]", "one zero behind [2. 4. 6.]", "one zero on each side [1. 3. 5.]"),
             (r"O = \lfloor (I - 1) / S \rfloor + 1", "(O - 1) S + K - I")),
        Fact("full and symmetric padding", ("blurred, symmetric padding 0.579",),
             ("$I + K - 1$", "mirrored pixels")),
        Fact("erratum: the output size with a ceiling", ("0 differ from Keras, rounded up 101",),
             ("**Erratum.** Manco's slides (CNN) print the formula with a ceiling",)),
        Fact("receptive field of stacked layers", ("three 3 x 3 formula 7, measured 7", "one 7 x 7 formula 7"),
             ("R = 1 + L (K - 1)",)),
        Fact("strides multiply the step of what follows", ("twice stride 2, 3 x 3 formula 15, measured 15",)),
        Fact("a convolution as a matrix product", ("(63504, 75) @ (75, 2) -> (63504, 2)",), ("image to columns",)),
        Fact("fully connected in place of a convolution, 224 pixels", ("7.55e+09 weights, 15.1 GFLOPs",)),
        Fact("erratum: the same at 1,024 pixels", ("3.30e+12 weights, 6,597.1 GFLOPs",),
             (r"$3.2 \cdot 10^{12}$ weights and 6.4 TFLOPs", r"$3.3 \cdot 10^{12}$ and 6.6 TFLOPs")),
        Fact("one 5x5 against two 3x3, 7x7 against three 3x3: the formulas", (),
             ("$25C^2 + C$ | $50C^2WH$ | $CWH$", "$18C^2 + 2C$ | $36C^2WH$ | $2CWH$", "$49C^2 + C$",
              "$27C^2 + 3C$")),
        Fact("the same, counted",
             ("one 5 x 5 102,464 209.7 65,536 True", "two 3 x 3 73,856 151.0 131,072 True",
              "one 7 x 7 200,768 411.0 65,536 True", "three 3 x 3 110,784 226.5 196,608 True")),
        Fact("depthwise separable: 8 to 8.85 times fewer FLOPs",
             ("C = N = 64 7.89 7.89 7.89", "C = N = 512 8.84 8.84 8.84"),
             ("$18C^2$ for the standard layer and $18C + 2C^2$", "$1/N + 1/K^2$")),
        Fact("dead ReLUs, and leaky ReLU",
             ("ReLU after 40 epochs", " 8 units have not moved", "leaky ReLU after", " 0 units have not moved")),
        Fact("max pooling's invariance to small shifts, measured",
             ("max 2 x 2 39% to 47%", "average 2 x 2 48% to 60%", "average 2 x 2: 5 of 5")),
    ],
    "02_lenet_cifar10": [
        Fact("LeNet-5, its layers and parameters",
             ("conv1 (Conv2D)", "156", "2,416", "48,120", "10,164", "850", "Total params: 61,706"),
             ("| conv2 | 5 · 5 · 6 · 16 | 16 | 2,416 |",)),
        Fact("LeNet-5 and the dense network, grey and in colour",
             ("input (32, 32, 1): dense network 86,950 parameters, LeNet-5 61,706",
              "input (32, 32, 3): dense network 258,982 parameters, LeNet-5 62,006"),
             ("$5 \\cdot 5 \\cdot 3 \\cdot 6 + 6 = 456$",)),
        Fact("the side after Manco's LeNet", (), ("((s - 6)/2 - 5)/2 + 1 with divisions that round down",)),
        Fact("weight sharing: few weights, much work",
             ("Convolutions: 4% of the parameters, 86% of the multiply-accumulates",), ("**weight sharing**",)),
        Fact("CIFAR-10", ("cifar10: 45,000 training, 5,000 validation, 5,000 test images",),
             ("CIFAR-10 has 50,000 training and 10,000 test photographs of ten classes",)),
        Fact("early stopping with the best weights", ("epochs, and went back to the best one",),
             ("**Early stopping** is the cheapest cure",)),
        Fact("erratum: the summary of the simple CNN",
             ("max pooling True : 108,810 parameters", "max pooling False: 433,290 parameters"),
             ("433,290 is the count *without* the max pooling of the slide's own code",)),
        Fact("slide code: metrics as a bare string", ("Right: a list of metrics",)),
    ],
    "03_architectures": [
        # VGG
        Fact("VGG16's summary", ("block1_conv1 (Conv2D)", "fc1 (Dense)", "102,764,544", "138,357,544")),
        Fact("VGG16 written as a row", ("138,357,544 parameters; the same shapes as Keras' VGG16: True",)),
        Fact("VGG A", ("A 11 weight layers, 132,863,336 parameters",)),
        Fact("VGG C", ("C 16 weight layers, 133,638,952 parameters",)),
        Fact("VGG D", ("D 16 weight layers, 138,357,544 parameters", "D as built: True")),
        Fact("VGG E", ("E 19 weight layers, 143,667,240 parameters",)),
        Fact("erratum: rows B and E of VGG lack a convolution",
             ("B as printed 12 weight layers, 130,688,040", "E as printed 18 weight layers, 141,307,432",
              "B, complete 13 weight layers, 133,047,848"),
             ("**Erratum.** In Manco's code the rows B and E each lack one convolution",)),
        Fact("VGG A with LRN, D with batch normalization, D without top",
             ("A with LRN 11 weight layers, 132,863,336 parameters",
              "D with batch norm 16 weight layers, 138,374,440 parameters",
              "D without the dense layers: 14,714,688 parameters")),
        Fact("VGG16, the dense layers", ("dense 123,642,856 89%",), ("102,764,544",)),
        Fact("VGG16, GFLOPs by block",
             ("block1 38,720 0% 3.873", "block2 221,440 0% 5.549", "block3 1,475,328 1% 9.248",
              "block4 5,899,776 4% 9.248", "block5 7,079,424 5% 2.775", "0.247", "138,357,544 30.94")),
        Fact("erratum: VGG16's block 5 and total", ("at 28 x 28: 11.10 GFLOPs", "at 14 x 14: 2.77 GFLOPs"),
             ("11.1 GFLOPs for block 5 and 39 in all. Computed: 2.77 and 30.9",)),
        Fact("erratum: VGG16's activations", ("15,087,080 values: 58 MiB; with copies for ReLU 109 MiB",),
             ("about 100 MB of activations",)),
        # AlexNet
        Fact("AlexNet in one tower",
             ("sides: 55 27 27 13 13 13 13 6", "3,747,200", "58,631,144", "62,378,344 parameters; 2.27 GFLOPs")),
        Fact("AlexNet, MFLOPs", ("210.8, 895.8, 299.0, 448.6, 299.0", "75.5, 33.6, 8.2")),
        Fact("AlexNet in two groups", ("in two groups: 60,965,224 parameters",)),
        Fact("erratum: 224 or 227 pixels", ("of 224 pixels: 54", "of 227 pixels: 55"),
             ("Boracchi has 224 and 227 the wrong way round",)),
        Fact("erratum: fc6", ("fc6: 37,748,736 weights",),
             ("Di Stefano prints 37.5 M for fc6. Computed: 37.75 M",)),
        Fact("erratum: the nesting of AlexNet's forward", ("conv5 expects 384 maps",),
             ("`forward` nests the layers the wrong way round",)),
        Fact("erratum: groups in conv2 only, normalization after the pooling",
             ("order: conv1 norm1 pool1 conv2 norm2 pool2",),
             ("Manco's code has the groups in conv2 only, and normalizes after the pooling",)),
        Fact("local response normalization, inter- and intra-channel",
             ("across: by hand against the layer", "within: by hand against the layer"),
             (r"$k = 2$, $\alpha = 10^{-4}$ and $\beta = 0.75$", "*inter-channel*", "*intra-channel*")),
        Fact("erratum: its exponent", ("without the exponent",),
             (r"**Erratum.** Manco's slide prints the formula without the exponent $\beta$",)),
        # GoogLeNet
        Fact("GoogLeNet, and with its heads", ("6,998,552 parameters, with both auxiliary heads 13,378,280",)),
        Fact("GoogLeNet's blocks, and the table that is printed",
             ("3a 163,328 159.5 159", "3b 388,096 379.0 380", "4a 375,552 366.8 364", "4b 448,512 438.0 437",
              "4c 509,440 497.5 463", "4d 604,672 590.5 580", "4e 867,328 847.0 840", "5a 1,042,432 1018.0 1072",
              "5b 1,442,816 1409.0 1388", "weights of the first convolution: 9,408"),
             ("509,440 for 4c, 1,042,432 for 5a and 1,442,816 for 5b", "printed with 2.7K")),
        Fact("an inception branch with and without a reduction", ("163.8 M MACs", "16.4 M MACs")),
        Fact("an inception block with and without a reduction",
             ("without reduction 387,296 parameters 303.5 M MACs 416 maps",
              "with reduction 163,696 parameters 128.0 M MACs 256 maps")),
        # ResNet
        Fact("ResNet, trainable parameters and MACs, stride in the 3x3 or in the first 1x1",
             ("18 11,699,112 11,689,512 1.81 1.81 1.8", "34 21,814,696 21,797,672 3.66 3.66 3.6",
              "50 25,610,152 25,557,032 4.09 3.86 3.8", "101 44,654,504 44,549,160 7.80 7.57 7.6",
              "152 60,344,232 60,192,808 11.51 11.28 11.3")),
        Fact("erratum: no global average pooling, and when the shortcut projects",
             ("513,000 parameters on 7 x 7 maps it would have 25,089,000",),
             ("Manco's code ends in a dense layer on 7 x 7 maps, and projects the shortcut only where",)),
        # MobileNetV2
        Fact("MobileNetV2 from its rows",
             ("our loop: 3,538,984 parameters 3,504,872 trainable, 300.8 M MACs",
              "without the classifier 2,257,984 parameters")),
        Fact("erratum: 54 layers", ("53 convolutions and dense layers",),
             ("Di Stefano prints 54 layers for MobileNetV2. Computed: 53",)),
        # All
        Fact("where they halve the sides", ("56 x 56, 256 maps, 10 layers", "28 x 28, 512 maps, 13 layers")),
        Fact("keras.applications: size, accuracies, parameters, depth, size without top",
             ("VGG16 71.3 90.1 528 528 138,357,544 16 16 56", "ResNet50 74.9 92.1 98 98 25,636,712 107 107 90",
              "InceptionV3 77.9 93.7 92 91 23,851,784 189 189 83",
              "MobileNetV2 71.3 90.1 14 14 3,538,984 105 105 9",
              "parameters and depth as on the page: 14 of 14")),
    ],
    "04_residual_learning": [
        Fact("batch normalization's four formulas, by hand and by Keras", ("largest difference from Keras",),
             ("\\sigma^2 = \\frac{1}{m} \\sum_i (x_i - \\mu)^2", "y_i = \\gamma \\hat{x}_i + \\beta")),
        Fact("moving averages", ("after 100 steps the moving mean is 63% of the mean of the batch",),
             ("0.99\\ \\mu_{moving} + 0.01\\ \\mu",)),
        Fact("training against inference", ("in training mode", "in inference mode",
             "one image in two batches, training mode")),
        Fact("plain and residual networks of one depth have the same parameters", ("plain_32", "residual_32")),
        Fact("degradation, judged as a difference of differences", ("plain minus residual:", "half-width"),
             ("d = (deep - shallow)_{plain} - (deep - shallow)_{residual}",)),
        Fact("initialization: He, Glorot, and zeros, with which nothing is learned",
             ("He", "Glorot", "zeros : all activations are 0"), ("variance of $2 / n_{in}$",)),
    ],
    "05_augmentation": [
        Fact("augmentation acts in training alone, preprocessing layers always", (),
             ("augmentation layers act **in training alone**, while preprocessing layers",)),
        Fact("interpolation blurs, one affine change less than a chain",
             ("after a chain of three layers", "after one affine change")),
        Fact("mixup's formula, for images and labels", (),
             ("$x = l \\, x_i + (1 - l) \\, x_j$, $y = l \\, y_i + (1 - l) \\, y_j$",)),
        Fact("a clock without digits is not rotation-invariant",
             ("translation 0.06 answer kept for", "rotation 0.1 answer kept for"),
             ("so turning the picture changes the label",)),
        Fact("a 6 becomes a 9", ("a 6, turned by half: read as 9 in",)),
        Fact("label-changing transformations in regression", (), ("the label moves with its inverse",)),
        Fact("background, exposure, focus, superimposed targets", (),
             ("Other backgrounds, bad exposure, lost focus, something in front of the target",)),
        Fact("class-specific augmentation", ("the 0 was turned", "the 6 was left as it was")),
        Fact("class balancing, and the recall of the rare class",
             ("cat: 25 images; each other class: 250", "class weights is better than nothing:",
              "balancing is better than nothing:", "balancing and augmentation is better than nothing:")),
        Fact("Lorente: each alone, together, mirroring",
             ("flip is better than none:", "translation is better than none:", "rotation is better than none:",
              "zoom is better than none:", "contrast is better than none:", "all together is better than flip:")),
        Fact("mixup, tried", ("mixup is better than none:",)),
        Fact("ImageDataGenerator, flow_from_directory and their replacements", (),
             ("`rotation_range=36` (degrees) | `pipeline(rotation=0.1)`",
              "`flow_from_directory(\"photos\")` | `keras.utils.image_dataset_from_directory(\"photos\")`")),
    ],
    "06_test_time_augmentation": [
        Fact("the posteriors of augmented copies are averaged",
             ("shape of all answers: (10, 5000, 10)", "largest difference from `test_time_augmentation`: ",
              "mean of all"),
             ("\\bar{p} = \\frac{1}{n} \\sum_{v=1}^{n} p_v",)),
        Fact("AlexNet's ten crops", ("ten crops", "10 predictions an image"),
             ("The **ten crops** are the centre and the four corners, and their mirror images",)),
        Fact("does it help, and what does it cost",
             ("mirrored is better than one view:", "ten crops is better than one view:",
              "random rotations is better than one view:")),
        Fact("it helps where the model is unsure",
             ("The slides' claim, as gains: least sure is better than most sure:",)),
    ],
    "07_transfer_learning": [
        Fact("include_top=False, the base's own preprocessing, pooling, dropout 0.5, a new head; frozen",
             ("mobilenetv2_1.00_96: 2,257,984 weights, frozen; the head: 12,810 weights, trained",)),
        Fact("in stages: the head, the last layers, everything at a low rate", ("last blocks", "1e-05")),
        Fact("plain Keras and TransferModel give the same head",
             ("largest difference between the weights of the two heads: 0.0e+00",)),
        Fact("from how many images on transfer pays", ("images of each class transfer from scratch",
             "500 ")),
        Fact("batch normalization stays frozen", ("trainable=True : in fit the outputs have mean",
             "trainable=False: in fit the outputs have mean")),
        Fact("erratum: `weights` left out loads ImageNet's", (),
             ("slide leaves `weights` out. Left out, it loads ImageNet's; `weights=None` makes random ones.",)),
        Fact("a binary head", (), ("a last layer with a single unit",)),
    ],
    "08_inception_by_blocks": [
        Fact("InceptionV3 cut after each block: parameters without head",
             ("after mixed0 429,440", "after mixed1 707,408", "after mixed2 993,056", "after mixed3 2,146,976",
              "after mixed4 3,445,920", "after mixed5 5,138,656", "after mixed6 6,831,392",
              "after mixed7 8,975,264", "after mixed8 10,674,848", "after mixed9 15,722,720",
              "after mixed10 21,802,784")),
        Fact("unfreezing block by block from the input and from the head",
             ("unfrozen from the input: accuracy in %", "unfrozen from the head: accuracy in %",
              "weights trained")),
        Fact("removing blocks, global average pooling and softmax",
             ("cut: accuracy in %, 95 % interval, 5 seeds",),
             ("the mean of each of its maps and a softmax follow",)),
        Fact("augmentations one by one and combined",
             ("flip", "translation", "rotation", "zoom", "together", "up to")),
        Fact("Lorente's four claims", ("five blocks less are nearly as good:", "each augmentation alone helps:",
             "together no better than the best:", "mirroring is enough:")),
        Fact("ROC and AUC by class, and a binary head", ("mean AUC",),
             ("\\mathrm{AUC} = P(p_i > p_j) + \\frac{1}{2} P(p_i = p_j)",)),
    ],
    "09_latent_tsne": [
        Fact("the feature extraction network is the model up to the layer before the head",
             ("latent vectors of 128 numbers; difference of the two ways: 0e+00",),
             ("The model up to the layer *before* the head",)),
        Fact("t-SNE's objective, and a descent by hand as good as the library's",
             ("by hand trustworthiness 0.9", "the library trustworthiness 0.9", "divergence by hand:"),
             ("KL(P \\| Q) = \\sum_{ij} p_{ij} \\log \\frac{p_{ij}}{q_{ij}}",)),
        Fact("1-NN in four spaces", ("1-NN on pixels", "1-NN on random network", "1-NN on trained network",
             "1-NN on MobileNetV2, ImageNet", "with all 50,000 training images:")),
        Fact("points and a mosaic of the images", (), ("Every image on a grid, as near to its place in the map",)),
        Fact("what a map may not be read for",
             ("planted : the third group is", "in the map: the third group is"),
             ("Neither the distance between groups nor their width can be read from the map",)),
        Fact("new images in the map", ("get their class from the 5 nearest points of the map",)),
    ],
    "10_image_retrieval": [
        Fact("the slide's code, mean absolute difference and argsort, finds what the index finds",
             ("the same neighbours in the same places: 100.0%",),
             ("The distance of a query to each training image is the mean of the absolute differences (**l1**)",)),
        Fact("precision at k, recall and mAP by class, with an interval",
             ("AP of the last query: by hand", "recall@100", "± 95 %", "over the queries")),
        Fact("1-NN against the network's own head", ("1-NN, l1 is better than the head:", "1-NN minus head:")),
        Fact("near-duplicates, and what they do to the test accuracy",
             ("without the 300 nearest", "they raise the accuracy by")),
    ],
    "12_tinynet": [
        Fact("TinyNet: four 3 x 3 blocks with stride 2 of 32 to 256 filters, batch norm, He",
             ("(None, 4, 4, 256)", "Total params"),
             ("Each of the four blocks is a 3 x 3 convolution with stride 2, batch normalization and a ReLU",)),
        Fact("one cycle: the formula is Keras' schedule", ("largest difference between Keras and the formula:",),
             ("\\eta(t) = \\eta_0 + (\\hat\\eta - \\eta_0)",)),
        Fact("residual and depthwise blocks, parameters and MACs", ("parameters MACs", "residual", "depthwise"),
             ("it has $9\\,C + C\\,F$ weights in place of $9\\,C\\,F$",)),
        Fact("what pays: one cycle, batch norm, residual, depthwise, dropout",
             ("plain is better than constant rate:", "plain is better than no batch norm:",
              "residual is better than plain:", "plain is better than depthwise:", "dropout is better than plain:",
              "dropout, no batch norm is better than no batch norm:")),
        Fact("mean, deviation and histogram of activations while networks learn",
             ("He, with batch norm training loss", "deviation 0.01, no batch norm training loss")),
        Fact("why a signal vanishes", ("block 2: formula", "block 4: formula"),
             ("one block multiplies the mean square of the signal by about",)),
        Fact("dropout and batch normalization", ("Var by the formula counted",)),
        Fact("confusion matrix, ROC and AUC by class", ("AUC from",),
             ("\\mathrm{AUC} = P(s_{\\text{class}} > s_{\\text{other}})",)),
        Fact("Grad-CAM by hand", ("largest difference between by hand and `grad_cam`:",),
             ("\\alpha_k = \\frac1{hw} \\sum_{i,j} \\frac{\\partial y_c}{\\partial A_k^{ij}}",)),
        Fact("a heatmap checked by hiding its hottest block", ("hottest block is better than random block:",
             "hottest block is better than centre:")),
    ],
    "13_random_search": [
        Fact("random against grid where one of two knobs does not matter",
             ("nine trials; the best accuracy in the mean", "grid", "random"),
             ("The grid spends two thirds of its trials on repeating a learning rate",)),
        Fact("59 trials for the best 5 % with 95 %", ("59 trials: formula 95.2%, counted 95.2%",),
             ("0.95^n", "So **59** trials")),
        Fact("Lorente's space: five optimizers, four rates, three momenta, three activations",
             ("SGD, RMSprop, Adam, Adadelta, Adagrad", "0.001, 0.01, 0.1, 0.2", "0.6, 0.8, 0.9",
              "elu, relu, tanh")),
        Fact("a search that was stopped goes on", ("trained before: 20; together: 60 trials",)),
        Fact("the winner's curse, by formula and with new seeds",
             ("place in the search", "mean change of the first 5:"),
             ("c_n\\, \\sigma",)),
        Fact("Lorente's best values, with the same budget",
             ("the course's best (SGD 0.001 0.9 relu):", "the course's best is better than our search's best:")),
        Fact("two workers share a search", ("tuner0 ran 3 trials", "tuner1 ran 3 trials")),
    ],
    "11_design_a_cnn": [
        Fact("kernel size: two 3x3 against a 5x5", ("two 3x3 is better than 5x5:", "baseline is better than 5x5:",
             "baseline is better than 1x1:"), ("cost $18 C^2$ weights in place of $25 C^2$",)),
        Fact("number of filters, and accuracy * 1e5 / parameters",
             ("twice the filters is better than baseline:", "best accuracy:", "best ratio:"),
             ("accuracy * 1e5 / parameters",)),
        Fact("activation", ("baseline is better than tanh:", "baseline is better than sigmoid:",
             "leaky ReLU is better than baseline:")),
        Fact("initialisation: Glorot, He, random, zero", ("He is better than baseline:",
             "baseline is better than random normal:", "baseline is better than zero:")),
        Fact("zero does not learn, and why", ("zero: 1 of",), ("A gradient is a product",)),
        Fact("depth", ("baseline is better than one block:", "baseline is better than two blocks:",
             "four blocks is better than baseline:")),
        Fact("optimizer and rate", ("baseline is better than ten times the rate:",
             "SGD with momentum is better than baseline:", "SGD with momentum is better than SGD:")),
        Fact("input size", ("baseline is better than half the side:",)),
        Fact("weight penalty, dropout and gradient clipping", ("dropout is better than baseline:",
             "weight penalty is better than baseline:", "clipping is better than baseline:"),
             ("$g \\leftarrow g \\min(1, c / |g|)$",)),
        Fact("all verdicts in one table", ("claim verdict points 95% interval", "two 3x3 are better than a 5x5")),
    ],
    "16_fast_cifar10": [
        Fact("a first layer that is computed",
             ("variances of the filters' answers:", "largest covariance of two:"),
             ("w_k = \\frac{v_k}{\\sqrt{\\lambda_k + \\varepsilon}}",)),
        Fact("three runs of ten epochs", ("seed 0:", "seed 2:", "10 epochs: mean")),
        Fact("the time, in epochs of plain LeNet-5 of the same run", ("One epoch of LeNet-5 takes",)),
        Fact("each trick left out once",
             ("all tricks is better than without the computed layer:", "all tricks is better than without crops:",
              "all tricks is better than without mirrored in turn:",
              "all tricks is better than without one cycle:", "all tricks is better than without soft labels:")),
    ],
}  # fmt: skip
ALL = [pytest.param(page, fact, id=f"{page[:2]}: {fact.name}") for page, facts in FACTS.items() for fact in facts]


def squeezed(text: str) -> str:
    """Return text with the white space between words, and the lines of a table, as single blanks."""
    return re.sub(r"[\s│┃]+", " ", re.sub(r"<[^>]+>|\x1b\[[\d;]*m", "", text))


def shown(output) -> str:
    return output.text if output.output_type == "stream" else str(output.get("data", {}).get("text/plain", ""))


@pytest.fixture(scope="module")
def cells():
    """Return for each page what its cells say: (kind, source, output), read once."""
    return {
        page: [
            (cell.cell_type, cell.source, squeezed("\n".join(map(shown, cell.get("outputs", [])))))
            for cell in nbformat.read(PAGES / f"{page}.ipynb", as_version=4).cells
        ]
        for page in FACTS
    }


@pytest.mark.parametrize(("page", "fact"), ALL)
def test_a_cell_of_the_page_shows_the_fact(cells, page, fact):
    assert fact.outputs or fact.text
    outputs = [(source, output) for kind, source, output in cells[page] if kind == "code"]
    found = [source for source, output in outputs if all(quote in output for quote in fact.outputs)]
    assert found, f"no output of {page} holds all of {fact.outputs}"
    texts = [squeezed(source) for kind, source, _ in cells[page] if kind == "markdown"]
    assert any(all(squeezed(quote) in text for quote in fact.text) for text in texts), fact.text


@pytest.mark.parametrize(("page", "fact"), ALL)
def test_the_figures_of_the_fact_are_computed_not_written(cells, page, fact):
    large = {number for quote in fact.outputs for number in re.findall(r"\d{1,3}(?:,\d{3})+", quote)}
    computed = [
        source
        for kind, source, output in cells[page]
        if kind == "code" and all(quote in output for quote in fact.outputs)
    ]
    for source in computed[:1]:
        digits = re.sub(r"(?<=\d)[_,](?=\d)", "", source)
        assert [number for number in large if number.replace(",", "") in digits] == []


@pytest.mark.parametrize("page", FACTS)
def test_the_page_was_run_at_its_full_size_without_an_error(cells, page):
    outputs = [output for kind, _, output in cells[page] if kind == "code"]
    assert any("profile: full" in output for output in outputs)
    raw = nbformat.read(PAGES / f"{page}.ipynb", as_version=4)
    kinds = [output.output_type for cell in raw.cells for output in cell.get("outputs", [])]
    assert "error" not in kinds


@pytest.mark.parametrize("page", FACTS)
def test_a_page_is_not_larger_than_two_megabytes(page):
    assert (PAGES / f"{page}.ipynb").stat().st_size < 2e6
