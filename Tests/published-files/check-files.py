"""Opens a run's published files with other programs' readers, and checks what design and model say of them.

usage: check-files.py FOLDER TRAIN-IMAGES
FOLDER holds run/, samples.npy, denoised.npy, images.csv and bound.json; TRAIN-IMAGES is what was trained on, gzipped IDX.
"""
import csv
import gzip
import json
import pathlib
import sys

import numpy
from safetensors import safe_open


def check(condition, text):
    if not condition:
        sys.exit(f"error: {text}")


def parameter_shapes(model):
    """Names and shapes of the parameters, from the model's sizes alone."""
    colors, width, channels = model["n_colors"], model["spatial_width"], model["n_hidden_conv"]
    shapes = {}
    for layer in range(model["n_layers_conv"]):
        for scale in range(model["n_scales"]):
            shapes[f"conv.{layer}.scale{scale}.weight"] = (channels, channels if layer else colors, 3, 3)
            shapes[f"conv.{layer}.scale{scale}.bias"] = (channels,)
    outputs = model["n_hidden_dense_lower_output"]
    lower = [colors * width**2] + [model["n_hidden_dense_lower"]] * (model["n_layers_dense_lower"] - 1) + [width**2 * outputs]
    upper = [channels + outputs] + [model["n_hidden_dense_upper"]] * (model["n_layers_dense_upper"] - 1)
    upper += [colors * 2 * model["n_temporal_basis"]]
    for branch, widths in [("dense_lower", lower), ("dense_upper", upper)]:
        for layer, (inputs, results) in enumerate(zip(widths, widths[1:])):
            shapes[f"{branch}.{layer}.weight"] = (results, inputs)
            shapes[f"{branch}.{layer}.bias"] = (results,)
    return shapes


def check_checkpoint(path, pixels, last):
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    check(metadata["format"] == "dpm-1", f"format {metadata['format']}")
    config = json.loads(metadata["config"])
    check(config["dataset"]["name"] == "mnist" and config["training"]["optimizer"] == "adam", "config is another run's")
    deviation = pixels.std()
    for key, value in [("scale", 1 / deviation), ("shift", -pixels.mean() / deviation)]:
        check(abs(float(metadata[key]) - value) < 1e-6, f"{key} {metadata[key]}, NumPy says {value}")
    for key, value in [("epoch", last["epoch"]), ("step", last["step"]), ("seed", config["training"]["seed"])]:
        check(int(metadata[key]) == value, f"{key} {metadata[key]}, expected {value}")
    check(metadata["version"].count(".") == 2, f"version {metadata['version']}")

    shapes = parameter_shapes(config["model"])
    prefixes = ["", "optimizer.", "optimizer.first_moment.", "average."]
    expected = {prefix + name: shape for prefix in prefixes for name, shape in shapes.items()}
    check(set(tensors) == set(expected), f"tensors {set(tensors) ^ set(expected)} are missing or too many")
    for name, shape in expected.items():
        tensor = tensors[name]
        check(tensor.shape == shape and tensor.dtype == numpy.float32, f"{name} is {tensor.dtype} {tensor.shape}")
        check(numpy.isfinite(tensor).all(), f"{name} is not finite")
    for name in shapes:
        check((tensors[f"optimizer.{name}"] >= 0).all(), f"optimizer.{name} is no mean of squares")
        distance = numpy.linalg.norm(tensors[f"average.{name}"] - tensors[name])
        check(0 < distance < 0.5 * numpy.linalg.norm(tensors[name]) + 0.1, f"average.{name} is {distance} away")
    return config, sum(tensors[name].size for name in shapes)


def check_metrics(path, images):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    check([line["epoch"] for line in lines] == [1, 2], "metrics.jsonl has other epochs than 1 and 2")
    for line in lines:
        for key in ["epoch", "step", "images", "ranks", "bad_steps"]:
            check(isinstance(line[key], int), f"{key} {line[key]}")
        for key in ["train_objective", "learning_rate", "seconds", "images_per_second", "exposed_communication_seconds",
                    "test_objective", "test_standard_error"]:
            check(isinstance(line[key], float), f"{key} {line[key]}")
        check(line["images"] == line["epoch"] * images and line["ranks"] == 2, f"images {line['images']}")
    return lines


def check_array(path, shape):
    array = numpy.load(path)
    check(array.shape == shape and array.dtype == numpy.float32, f"{path.name} is {array.dtype} {array.shape}")
    # 0 is black, 1 white; no step of the trajectory forces a pixel between them.
    check(numpy.isfinite(array).all() and array.std() > 0.1, f"{path.name} has no images")
    check(-0.5 < array.mean() < 1.5, f"{path.name} has a mean of {array.mean()}")


def check_bound(folder):
    bound = json.loads((folder / "bound.json").read_text())
    rows = list(csv.DictReader((folder / "images.csv").open()))
    check(len(rows) == 100 and bound["images"] == 100, f"{len(rows)} images in images.csv")
    means = {key: numpy.mean([float(row[key]) for row in rows]) for key in ["k", "k_minus_null"]}
    for key, mean in means.items():
        check(abs(mean - bound[key]) < 1e-9, f"{key} {bound[key]}, the mean of images.csv is {mean}")


folder = pathlib.Path(sys.argv[1])
pixels = numpy.frombuffer(gzip.open(sys.argv[2]).read(), numpy.uint8, offset=16) / 255
lines = check_metrics(folder / "run/metrics.jsonl", pixels.size // 784)
config, parameters = check_checkpoint(folder / "run/checkpoints/epoch-0002.safetensors", pixels, lines[-1])
check_array(folder / "samples.npy", (20, 1, 28, 28))
check_array(folder / "denoised.npy", (3, 2, 1, 28, 28))
check_bound(folder)
print(f"safetensors, json, csv and NumPy read the run: {parameters} parameters, {len(lines)} lines, two arrays")
