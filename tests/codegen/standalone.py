"""A net, its golden inputs and its answers as one C program that needs nothing else.

Inputs, outputs and the arena are heap blocks of exactly their sizes, so that a sanitizer sees every
step beyond them. The program says how far the worst answer is off, and exits with 1 if that is more
than it was allowed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgecnn.codegen.writing.numbers import array
from tests.codegen.compiled import WARNINGS, run_ort, write_net

# Malloc gives no more than this on some systems; the arena of the nets here needs no more.
_MAIN = """\
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net.h"

enum {{ IMAGES = {images}, INPUT = {input}, OUTPUT = {output} }};
static const float images[IMAGES * INPUT] = {{
{image_numbers}
}};
static const float answers[IMAGES * OUTPUT] = {{
{answer_numbers}
}};

/* How far an answer is off, by what the largest number of its image is. */
static float distance(const float *found, const float *wanted)
{{
    float worst = 0, largest = 1e-30f;
    for (int i = 0; i < OUTPUT; i++) {{
        const float off = found[i] > wanted[i] ? found[i] - wanted[i] : wanted[i] - found[i];
        const float size = wanted[i] < 0 ? -wanted[i] : wanted[i];
        worst = off <= worst ? worst : off;
        largest = size > largest ? size : largest;
    }}
    return worst / largest;
}}

int main(void)
{{
    float worst = 0;
    for (int i = 0; i < IMAGES; i++) {{
        float *input = (float *)malloc(INPUT * sizeof *input);
        float *output = (float *)malloc(OUTPUT * sizeof *output);
        void *arena = malloc(NET_ARENA_BYTES);
        if (!input || !output || !arena)
            return 2;
        memset(arena, 0x7f, NET_ARENA_BYTES);
        memcpy(input, images + i * INPUT, INPUT * sizeof *input);
        net_run_in(arena, input, output);
        const float off = distance(output, answers + i * OUTPUT);
        worst = off <= worst ? worst : off;
        free(arena);
        free(output);
        free(input);
    }}
    printf("%g\\n", (double)worst);
    return (double)worst <= {tolerance:.9e} ? 0 : 1;
}}
"""


@dataclass(frozen=True)
class Standalone:
    """A program to be compiled.

    Attributes:
        folder: Where its files lie: main.c, net.c, net.h.
        tolerance: How far its answers may be off, by the largest number of each; 0: to the bit.
    """

    folder: Path
    tolerance: float

    def compile(self, command: Sequence[str], name: str) -> Path:
        """Compile with a command, such as `gcc -O2`; a warning is an error.

        Raises:
            AssertionError: The compiler complains.
        """
        made = self.folder / name
        line = [*command, *WARNINGS, "-o", str(made), "net.c", "main.c"]
        done = subprocess.run(line, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:4000]
        return made

    def check(self, command: Sequence[str], name: str, emulator: Sequence[str] = ()) -> None:
        """Compile and run; the answers must be the golden ones."""
        made = self.compile(command, name)
        done = subprocess.run([*emulator, str(made)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (done.returncode, done.stdout, done.stderr[-4000:])


def write_standalone(
    model: onnx.ModelProto, images: NDArray[Any], folder: Path, *, tolerance: float
) -> Standalone:
    """Write a net as a program, with the answers of ONNX Runtime.

    Args:
        model: With one float input.
        images: [n, 1, C, H, W].
        folder: Where to.
        tolerance: How far answers may be off, by the largest number of each.
    """
    made = write_net(model, folder)
    name = model.graph.input[0].name
    assert made.weights is None
    answers = [
        np.concatenate([each.reshape(-1) for each in run_ort(model, {name: image}).values()])
        for image in images
    ]
    text = _MAIN.format(
        images=len(images),
        input=images[0].size,
        output=answers[0].size,
        image_numbers=array(images),
        answer_numbers=array(np.stack(answers)),
        tolerance=tolerance,
    )
    (folder / "main.c").write_text(text)
    return Standalone(folder, tolerance)
