"""Reads a run's event files with TensorBoard's own reader, and compares them with the run's other files.

usage: check-events.py RUN
"""
import json
import pathlib
import struct
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def check(condition, text):
    if not condition:
        sys.exit(f"error: {text}")


def single(number):
    """A number in the precision that events have."""
    return struct.unpack("<f", struct.pack("<f", number))[0]


def check_scalars(events, lines, untrained):
    keys = {"objective/training": "train_objective", "objective/test": "test_objective",
            "objective/test_standard_error": "test_standard_error", "optimizer/learning_rate": "learning_rate",
            "optimizer/gradient_norm": "gradient_norm", "optimizer/update_ratio": "update_ratio",
            "speed/images_per_second": "images_per_second",
            "speed/exposed_communication_seconds": "exposed_communication_seconds"}
    # Of the untrained network there is a test bound alone.
    expected = {tag: [(line["step"], line[key]) for line in ([untrained] if key.startswith("test") else []) + lines]
                for tag, key in keys.items()}
    for group, key in [("gradient_norm", "layer_gradient_norms"), ("update_ratio", "layer_update_ratios")]:
        for layer in lines[0][key]:
            expected[f"{group}/{layer}"] = [(line["step"], line[key][layer]) for line in lines]
    tags = events.Tags()["scalars"]
    check(set(tags) == set(expected), f"the scalars are {sorted(tags)}, expected {sorted(expected)}")
    for tag, values in expected.items():
        read = [(event.step, event.value) for event in events.Scalars(tag)]
        check(read == [(step, single(value)) for step, value in values], f"{tag} is {read}, expected {values}")
    return len(tags)


def check_pictures(events, run, lines):
    steps = [0] + [line["step"] for line in lines]
    files = {"samples": "samples-t0000", "inpainting": "inpainting-t0000", "denoising": "denoising-t0000",
             "parameters": "parameters", "gradients": "gradients"}
    tags = events.Tags()["images"]
    check(set(tags) == set(files), f"the pictures are {sorted(tags)}, expected {sorted(files)}")
    for tag, file in files.items():
        pictures = events.Images(tag)
        first = 1 if tag == "gradients" else 0
        check([picture.step for picture in pictures] == steps[first:], f"{tag} has steps {[p.step for p in pictures]}")
        for epoch, picture in enumerate(pictures, first):
            png = (run / f"figures/epoch-{epoch:04}/{file}.png").read_bytes()
            check(picture.encoded_image_string == png, f"{tag} of epoch {epoch} is not the file of that figure")
            check((picture.width, picture.height) == struct.unpack(">II", png[16:24]), f"{tag} has another size")
    return len(tags)


def main():
    run = pathlib.Path(sys.argv[1])
    files = sorted(run.glob("events.out.tfevents.*"))
    check(len(files) == 2, f"{len(files)} event files of two sessions")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    check([line["epoch"] for line in lines] == [1, 2, 3, 4], "metrics.jsonl does not have four epochs")
    untrained = json.loads((run / "figures/epoch-0000/metrics.jsonl").read_text())
    events = EventAccumulator(str(run), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    print(f"TensorBoard reads {check_scalars(events, lines, untrained)} curves and {check_pictures(events, run, lines)} kinds of pictures "
          f"of {len(lines)} epochs from {len(files)} files")


main()
