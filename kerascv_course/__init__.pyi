# What an editor and a type checker see of the package; at run time the names are fetched when they are used.
from kerascv_course import architecture as architecture
from kerascv_course import augmentation as augmentation
from kerascv_course import classic as classic
from kerascv_course import datasets as datasets
from kerascv_course import evaluation as evaluation
from kerascv_course import experiment as experiment
from kerascv_course import explain as explain
from kerascv_course import latent as latent
from kerascv_course import models as models
from kerascv_course import plotting as plotting
from kerascv_course import report as report
from kerascv_course import runtime as runtime
from kerascv_course import training as training
from kerascv_course import transfer as transfer
from kerascv_course.architecture import conv_output_size as conv_output_size
from kerascv_course.architecture import layer_table as layer_table
from kerascv_course.architecture import receptive_field as receptive_field
from kerascv_course.datasets import ImageDataset as ImageDataset
from kerascv_course.datasets import load_cifar10 as load_cifar10
from kerascv_course.datasets import load_digits as load_digits
from kerascv_course.datasets import load_mnist as load_mnist
from kerascv_course.explain import grad_cam as grad_cam
from kerascv_course.models import build_lenet5 as build_lenet5
from kerascv_course.training import fit as fit
from kerascv_course.transfer import Stage as Stage
from kerascv_course.transfer import TransferModel as TransferModel

__version__: str
