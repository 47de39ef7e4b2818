"""How a database keeps what belongs to an index beside its images: arrays as one safetensors value."""

from __future__ import annotations

import numpy as np

from headstart.base.errors import DataError

FORMAT, VERSION = "headstart-store", 1


def pack_arrays(arrays: dict[str, np.ndarray]) -> bytes:
    """Named arrays as bytes."""
    from safetensors.numpy import save

    return bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def unpack_arrays(packed: bytes, address: str) -> dict[str, np.ndarray]:
    """The arrays that `pack_arrays` was given.

    Raises
    ------
    DataError
        They are damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return dict(load(packed))
    except (SafetensorError, ValueError, KeyError) as error:
        raise DataError(f"{address}: its whitening cannot be read ({error}); index again") from error
