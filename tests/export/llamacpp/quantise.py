"""`llama-quantize IN OUT TYPE` on the llama.cpp of node-llama-cpp, which ships without programs.

python quantise.py LIBRARY IN OUT TYPE
"""

from __future__ import annotations

import ctypes
import sys

FILE_TYPES = {"Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18}


class Parameters(ctypes.Structure):
    """The beginning of `llama_model_quantize_params`, and room for the rest."""

    _fields_ = (
        ("threads", ctypes.c_int32),
        ("file_type", ctypes.c_int32),
        ("rest", ctypes.c_char * 248),
    )


def main(library: str, source: str, target: str, wanted: str) -> int:
    llama = ctypes.CDLL(library)
    llama.llama_model_quantize_default_params.restype = Parameters
    parameters = llama.llama_model_quantize_default_params()
    parameters.threads, parameters.file_type = 1, FILE_TYPES[wanted]
    return llama.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(parameters))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
