"""An exported folder to the hub, with its card."""

from __future__ import annotations

from pathlib import Path

from tunelab.errors import StorageError, UsageError


def check_token() -> None:
    """Refuse to push without a token, before anything is made.

    Raises:
        UsageError: there is none.
    """
    from huggingface_hub import get_token

    if get_token() is None:
        raise UsageError(
            "--push needs a token of the Hugging Face hub that may write, and there is none.",
            hint="Set HF_TOKEN, or type `hf auth login`. Without --push the folder is made here.",
        )


def push(folder: Path, repository: str) -> str:
    """Upload a folder to a repository of the hub, made private if it is new; returns its address.

    Raises:
        StorageError: the hub refuses or cannot be reached; the folder stays.
    """
    from httpx import HTTPError
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        address = api.create_repo(repository, private=True, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder)
    except (HTTPError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise StorageError(
            f"{folder} was made, but not pushed to {repository}: {reason}",
            hint=f"Try again: hf upload {repository} {folder}",
        ) from error
    return str(address)
