"""Machine code of the fused flow kernels for GPUs that need not be there, and what it uses."""

import functools
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

POINTERS = {"first": "fp32", "taps": "fp32", "state": "fp32", "linear": "fp32"}
POINTERS |= {"sums": "fp64", "limit": "fp64", "status": "i32"}
REALS = ("threshold", "theta", "tau_over_theta")
VARIANTS: dict[str, tuple[str, dict[str, int]]] = {
    "linearise": ("linearise", {"BLOCK": 128}),
    "one step": ("steps", {"STEPS": 1, "GROUP": 4}),
    "two steps": ("steps", {"STEPS": 2, "GROUP": 4}),
}
"""Kernels as they are launched."""


class Use(NamedTuple):
    """What a kernel's machine code uses.

    Attributes:
        registers: per thread.
        spilled: bytes of stack and local memory per thread.
        loop: instructions of its longest loop, those of rare branches included.
    """

    registers: int
    spilled: int
    loop: int


@functools.cache
def assembled(variant: str, capability: int) -> dict[str, Any]:
    """PTX and machine code of a kernel for a compute capability, such as 90."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from extract.flow.tvl1 import triton_kernels

    name, constants = VARIANTS[variant]
    kernel = getattr(triton_kernels, name)
    signature = {}
    for argument in kernel.arg_names:
        kind = f"*{POINTERS[argument]}" if argument in POINTERS else "i32"
        kind = "fp32" if argument in REALS else kind
        signature[argument] = "constexpr" if argument in constants else kind
    aligned = {
        (n,): [["tt.divisibility", 16]]
        for n, kind in enumerate(signature.values())
        if kind.startswith("*")
    }
    source = ASTSource(kernel, signature, constants, aligned)
    options = {"num_warps": 4, "enable_fp_fusion": False}
    asm: dict[str, Any] = triton.compile(
        source, target=GPUTarget("cuda", capability, 32), options=options
    ).asm
    return asm


def disassembler() -> Path:
    """NVIDIA's reader of machine code, which comes with most builds of Triton."""
    import triton

    return Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"


def use(variant: str, capability: int) -> Use:
    """What a kernel uses on GPUs of a compute capability."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(assembled(variant, capability)["cubin"])
        file.flush()
        told, code = (
            subprocess.run(
                [disassembler(), option, file.name], check=True, capture_output=True, text=True
            ).stdout
            for option in ("-res-usage", "-sass")
        )
    found = {name: int(value) for name, value in re.findall(r"(REG|STACK|LOCAL):(\d+)", told)}
    return Use(found["REG"], found["STACK"] + found["LOCAL"], _longest_loop(code))


def _longest_loop(code: str) -> int:
    lines = re.findall(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)([^;]*);", code)
    number = {int(address, 16): n for n, (address, _, _) in enumerate(lines)}
    longest = 0
    for n, (address, operation, rest) in enumerate(lines):
        target = re.search(r"0x([0-9a-f]+)", rest) if operation.startswith("BRA") else None
        if target and int(target[1], 16) < int(address, 16):
            longest = max(longest, n - number[int(target[1], 16)] + 1)
    return longest
